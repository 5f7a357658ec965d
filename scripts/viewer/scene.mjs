// Draws one cloud or mesh of a report page: turn with the mouse, a finger or the arrow keys.
// Bundled into recon3d_ros/reports/assets/scene.js by scripts/viewer/build.sh.
import {
  AmbientLight,
  BufferAttribute,
  BufferGeometry,
  Color,
  DirectionalLight,
  DoubleSide,
  Mesh,
  MeshLambertMaterial,
  PerspectiveCamera,
  Points,
  PointsMaterial,
  Scene,
  SRGBColorSpace,
  Vector3,
  WebGLRenderer,
} from "three";
import { OrbitControls } from "three/addons/controls/OrbitControls.js";

function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0)).buffer;
}

// Coordinates travel as 16-bit steps between the least and the greatest of each axis.
function positions(data) {
  const steps = new Uint16Array(bytes(data.positions));
  const out = new Float32Array(steps.length);
  for (let i = 0; i < steps.length; i++) {
    const axis = i % 3;
    out[i] = data.low[axis] + (steps[i] / 65535) * (data.high[axis] - data.low[axis]);
  }
  return out;
}

function colours(data) {
  const given = new Uint8Array(bytes(data.colours));
  const out = new Float32Array(given.length);
  const colour = new Color();
  for (let i = 0; i < given.length; i += 3) {
    colour.setRGB(given[i] / 255, given[i + 1] / 255, given[i + 2] / 255, SRGBColorSpace);
    colour.toArray(out, i);
  }
  return out;
}

function geometryOf(data) {
  const geometry = new BufferGeometry();
  geometry.setAttribute("position", new BufferAttribute(positions(data), 3));
  geometry.setAttribute("color", new BufferAttribute(colours(data), 3));
  if (data.faces) {
    geometry.setIndex(new BufferAttribute(new Uint32Array(bytes(data.faces)), 1));
    geometry.computeVertexNormals();
  }
  return geometry;
}

function show(canvas, data) {
  const renderer = new WebGLRenderer({ canvas, antialias: true, alpha: true, preserveDrawingBuffer: true });
  const scene = new Scene();
  const geometry = geometryOf(data);
  const { radius } = data;
  const center = new Vector3(...data.centre);
  const camera = new PerspectiveCamera(50, 1, radius / 500, radius * 50);
  const up = data.up === "z" ? new Vector3(0, 0, 1) : new Vector3(0, -1, 0);
  camera.up.copy(up);
  const away = data.up === "z" ? new Vector3(-1, -1, 0.8) : new Vector3(-0.35, -0.35, -1);
  camera.position.copy(center).addScaledVector(away.normalize(), radius * 1.8);
  if (data.faces) {
    scene.add(new Mesh(geometry, new MeshLambertMaterial({ vertexColors: true, side: DoubleSide })));
    scene.add(new AmbientLight(0xffffff, 2));
    const light = new DirectionalLight(0xffffff, 1.2);
    light.position.copy(up).addScaledVector(away, 0.5);
    scene.add(light);
  } else {
    scene.add(new Points(geometry, new PointsMaterial({ size: data.point, vertexColors: true })));
  }
  const controls = new OrbitControls(camera, canvas);
  controls.target.copy(center);
  const draw = () => {
    const width = canvas.clientWidth;
    const height = canvas.clientHeight;
    renderer.setPixelRatio(window.devicePixelRatio || 1);
    renderer.setSize(width, height, false);
    camera.aspect = width / Math.max(1, height);
    camera.updateProjectionMatrix();
    renderer.render(scene, camera);
  };
  controls.addEventListener("change", draw);
  new ResizeObserver(draw).observe(canvas);
  canvas.addEventListener("keydown", (event) => turnByKey(event, camera, controls));
  controls.update();
  draw();
}

function turnByKey(event, camera, controls) {
  const step = Math.PI / 24;
  const offset = camera.position.clone().sub(controls.target);
  const aside = new Vector3().crossVectors(camera.up, offset).normalize();
  const tilt = offset.angleTo(camera.up);
  if (event.key === "ArrowLeft") offset.applyAxisAngle(camera.up, -step);
  else if (event.key === "ArrowRight") offset.applyAxisAngle(camera.up, step);
  else if (event.key === "ArrowUp" && tilt > 2 * step) offset.applyAxisAngle(aside, -step);
  else if (event.key === "ArrowDown" && tilt < Math.PI - 2 * step) offset.applyAxisAngle(aside, step);
  else if (event.key === "+" || event.key === "=") offset.multiplyScalar(0.9);
  else if (event.key === "-") offset.multiplyScalar(1 / 0.9);
  else return;
  event.preventDefault();
  camera.position.copy(controls.target).add(offset);
  controls.update();
}

for (const canvas of document.querySelectorAll("canvas[data-scene]")) {
  const data = JSON.parse(document.getElementById(canvas.dataset.scene).textContent);
  try {
    show(canvas, data);
  } catch (error) {
    canvas.hidden = true;
    canvas.nextElementSibling.hidden = false; // the sentence for browsers without WebGL
  }
}
