#!/bin/bash
# Build recon3d_ros/reports/assets/scene.js, the 3-D view of the report pages, from scene.mjs and three.js.
# Needs Node.js; who installs the package does not, because the result is part of the repository.
set -eu
cd "$(dirname "$0")"
npm install --no-audit --no-fund --no-package-lock --silent
assets=../../recon3d_ros/reports/assets
npx esbuild scene.mjs --bundle --minify --format=iife --target=es2020 --legal-comments=none --outfile="$assets/scene.js"
cp node_modules/three/LICENSE "$assets/LICENSE.three.txt"
rm -rf node_modules
