// What the GPU does with the pixels of a frame: `prepare` makes the input tensors of a network, `restore` brings
// its outputs onto the grid of the image, `finish` filters depth and packs the cloud.
//
// The arithmetic stands in __host__ __device__ functions of one pixel each. nvcc makes kernels of them, g++ host
// loops (host_prepare and so on) which the tests compare with the NumPy pipeline. Build both without fused
// multiply-add (-fmad=false, -ffp-contract=off) and without fast math: then they round as NumPy does.
// The structs are those of arguments.py, member by member.

#include <math.h>

#ifdef __CUDACC__
#define BOTH static __host__ __device__ inline
#else
#define BOTH static inline
#endif

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

// One output row or column as a sum over source rows or columns first..last: two of them when blending between
// pixel centres, more when averaging areas. Where first == last, w_first is the whole weight.
struct Tap { int first, last; float w_first, w_inner, w_last; };

// An image in rows without padding: grey (1 channel), or red, green and blue (3).
struct Pixels {
    const u8 *data;
    int width, channels;
};

struct Prepare {
    Pixels image[2];
    void *target[2];
    const Tap *columns, *rows;
    int content_w, content_h, network_w, network_h;
    int channels, source[3];  // channel of the image for each one of the tensor, -1: the grey of all three
    int channel_stride, row_stride, pixel_stride, dtype;  // strides in elements
    float gain[3], offset[3];
};

// One output tensor of a network; data == 0: there is none.
struct Output {
    const void *data;
    const Tap *columns, *rows;
    int row_stride, pixel_stride, dtype;
    int clips;  // 1: values are brought to low..high, NaN to low; 0: what is outside becomes NaN
    float factor, low, high;
};

struct Restore {
    Output value, confidence, sigma;
    float *values, *depth, *out_confidence, *out_sigma;
    const u8 *valid, *right_valid;  // 0 where a camera saw nothing; 0 instead of a plane: everywhere something
    int width, height, stereo;
    float doffs, focal_baseline;
};

struct Finish {
    Pixels image;
    const float *depth, *disparity, *confidence;
    float *out_depth, *out_disparity;
    u32 *cloud;  // x, y, z, colour of each point, 16 bytes; 0: none wanted
    const float *rays_x, *rays_y;
    int width, height, border, decimation, intensity;
    float min_depth, max_depth, min_confidence, max_slope;
};

enum { FLOAT32, FLOAT16, UINT8 };

// ---- numbers

BOTH u32 bits_of(float value) { union { float f; u32 u; } both; both.f = value; return both.u; }
BOTH float float_of(u32 bits) { union { float f; u32 u; } both; both.u = bits; return both.f; }
BOTH float not_a_number() { return float_of(0x7fc00000u); }
BOTH bool is_nan(float v) { return v != v; }
BOTH bool is_finite(float v) { return (bits_of(v) & 0x7f800000u) != 0x7f800000u; }
// np.minimum and np.maximum: NaN wins. fminf and fmaxf are np.fmin and np.fmax: the number wins.
BOTH float lesser(float a, float b) { return is_nan(a) ? a : is_nan(b) ? b : a < b ? a : b; }
BOTH float greater(float a, float b) { return is_nan(a) ? a : is_nan(b) ? b : a > b ? a : b; }

// IEEE half precision by bits, so that host and device agree; rounds to nearest, ties to even.
BOTH u16 half_of(float value) {
    u32 bits = bits_of(value), sign = (bits >> 16) & 0x8000u, rest = bits & 0x7fffffffu;
    if (rest > 0x7f800000u) return (u16)(sign | 0x7e00u);   // NaN
    if (rest >= 0x477ff000u) return (u16)(sign | 0x7c00u);  // beyond 65520: infinite
    if (rest < 0x38800000u) {                               // below 2^-14: subnormal, steps of 2^-24
        return (u16)(sign | (u32)rintf(float_of(rest) * 16777216.0f));
    }
    rest += 0xfffu + ((rest >> 13) & 1u);
    return (u16)(sign | ((rest - 0x38000000u) >> 13));
}

BOTH float float_of_half(u16 half) {
    u32 sign = (u32)(half & 0x8000u) << 16, exponent = (half >> 10) & 31u, part = half & 0x3ffu;
    if (exponent == 31u) return float_of(sign | 0x7f800000u | (part << 13));
    float size = exponent ? float_of(((exponent + 112u) << 23) | (part << 13)) : (float)part / 16777216.0f;
    return sign ? -size : size;
}

BOTH float load(const void *data, int dtype, long at) {
    if (dtype == FLOAT32) return ((const float *)data)[at];
    if (dtype == FLOAT16) return float_of_half(((const u16 *)data)[at]);
    return (float)((const u8 *)data)[at];
}

BOTH void store(void *data, int dtype, long at, float value) {
    if (dtype == FLOAT32) ((float *)data)[at] = value;
    else if (dtype == FLOAT16) ((u16 *)data)[at] = half_of(value);
    else ((u8 *)data)[at] = (u8)rintf(value < 0 ? 0 : value > 255 ? 255 : value);
}

BOTH float weight(const Tap &tap, int i) {
    return i == tap.first ? tap.w_first : i == tap.last ? tap.w_last : tap.w_inner;
}

// ---- pixels of images

BOTH int level(const Pixels &image, int v, int u, int channel) {
    return image.data[((long)v * image.width + u) * image.channels + (image.channels == 1 ? 0 : channel)];
}

BOTH int grey(const Pixels &image, int v, int u) {
    if (image.channels == 1) return level(image, v, u, 0);
    return (9798 * level(image, v, u, 0) + 19235 * level(image, v, u, 1) + 3735 * level(image, v, u, 2) +
            16384) >> 15;  // as OpenCV: Rec. 601 in 15 bits
}

// ---- prepare: images -> tensors

BOTH void prepare_pixel(const Prepare &a, int index, int y, int x) {
    // Right of and below the content the edge is repeated.
    const Tap column = a.columns[x < a.content_w ? x : a.content_w - 1];
    const Tap row = a.rows[y < a.content_h ? y : a.content_h - 1];
    for (int c = 0; c < a.channels; ++c) {
        float sum = 0;
        for (int v = row.first; v <= row.last; ++v) {
            float along = 0;
            for (int u = column.first; u <= column.last; ++u) {
                int value = a.source[c] < 0 ? grey(a.image[index], v, u)
                                            : level(a.image[index], v, u, a.source[c]);
                along += (float)value * weight(column, u);
            }
            sum += along * weight(row, v);
        }
        long at = (long)c * a.channel_stride + (long)y * a.row_stride + (long)x * a.pixel_stride;
        store(a.target[index], a.dtype, at, sum * a.gain[c] + a.offset[c]);
    }
}

// ---- restore: outputs -> the grid of the image

BOTH float cell(const Output &a, int v, int u) {
    float value = load(a.data, a.dtype, (long)v * a.row_stride + (long)u * a.pixel_stride) * a.factor;
    if (a.clips) return fminf(fmaxf(value, a.low), a.high);
    return value >= a.low && value <= a.high ? value : not_a_number();
}

// A pixel between a value and none has none: NaN times 0 is NaN.
BOTH float at_pixel(const Output &a, int y, int x) {
    const Tap column = a.columns[x], row = a.rows[y];
    float sum = 0;
    for (int v = row.first; v <= row.last; ++v) {
        float along = 0;
        for (int u = column.first; u <= column.last; ++u) along += cell(a, v, u) * weight(column, u);
        sum += along * weight(row, v);
    }
    return sum;
}

// Whether a pixel was seen and, of a pair, its match (geometry/frame.py: Frame.seen). The match is looked up as
// cv2.remap does it: to 1/32 of a pixel, linearly, with nothing beyond the edges.
BOTH bool was_seen(const Restore &a, int y, int x, float disparity) {
    long row = (long)y * a.width;
    if (a.valid && !a.valid[row + x]) return false;
    if (!a.right_valid || !a.stereo) return true;
    float u = is_nan(disparity) ? float_of(0x7f800000u) : x - disparity;
    int at = (int)rintf(fminf(fmaxf(u, -2.0f), a.width + 1.0f) * 32), first = at >> 5, part = at & 31;
    int left = first >= 0 && first < a.width ? a.right_valid[row + first] : 0;
    int right = first >= -1 && first < a.width - 1 ? a.right_valid[row + first + 1] : 0;
    return (32 - part) * (left != 0) + part * (right != 0) >= 16;
}

BOTH void restore_pixel(const Restore &a, int y, int x) {
    long at = (long)y * a.width + x;
    float value = at_pixel(a.value, y, x), depth = value;
    a.values[at] = value;
    if (a.stereo) {  // Z = f B / (d - doffs); d <= doffs is farther than can be measured
        depth = a.focal_baseline / fabsf(greater(value - a.doffs, 0.0f));
    }
    a.depth[at] = depth;
    if (a.confidence.data) a.out_confidence[at] = at_pixel(a.confidence, y, x);
    if (a.sigma.data) {
        float sigma = at_pixel(a.sigma, y, x);
        a.out_sigma[at] = a.stereo ? sigma * depth * depth / a.focal_baseline : sigma;
    }
    if (was_seen(a, y, x, value)) return;
    a.values[at] = a.depth[at] = not_a_number();
    if (a.confidence.data) a.out_confidence[at] = 0;
    if (a.sigma.data) a.out_sigma[at] = not_a_number();
}

// ---- finish: filters (filters/limits.py, evidence.py, edges.py) and cloud (geometry/packer.py)

BOTH float believed(const Finish &a, int v, int u) {
    long at = (long)v * a.width + u;
    float depth = a.depth[at];
    if (depth < a.min_depth) depth = not_a_number();
    if (depth > a.max_depth) depth = float_of(0x7f800000u);
    if (v < a.border || u < a.border || v >= a.height - a.border || u >= a.width - a.border)
        return not_a_number();
    if (a.min_confidence > 0 && a.confidence && !(a.confidence[at] >= a.min_confidence)) return not_a_number();
    return depth;
}

// Inverse depth i pixels from (v, u), along the row or down the column.
BOTH float inverse_at(const Finish &a, int v, int u, int i, bool down) {
    return 1.0f / (down ? believed(a, v + i, u) : believed(a, v, u + i));
}

// The gentler of the steps to both sides, 0 where one goes up and one down; NaN where either is unknown.
BOTH float slope_at(const Finish &a, int v, int u, int i, bool down) {
    int position = (down ? v : u) + i, size = down ? a.height : a.width;
    if (position < 2 || position >= size - 2) return not_a_number();
    float middle = inverse_at(a, v, u, i, down);
    float before = middle - inverse_at(a, v, u, i - 2, down), after = inverse_at(a, v, u, i + 2, down) - middle;
    return greater(lesser(before, after), 0.0f) + lesser(greater(before, after), 0.0f);
}

// How much steeper the slope is than those five pixels aside that go the same way.
BOTH float excess_at(const Finish &a, int v, int u, bool down) {
    int position = down ? v : u, size = down ? a.height : a.width;
    float slope = slope_at(a, v, u, 0, down);
    float one = position >= 5 ? slope_at(a, v, u, -5, down) : not_a_number();
    float other = position < size - 5 ? slope_at(a, v, u, 5, down) : not_a_number();
    float up = greater(fmaxf(one, other), 0.0f), fall = lesser(fminf(one, other), 0.0f);
    return greater(slope - up, fall - slope);
}

BOTH void pack_point(const Finish &a, int v, int u, float depth) {
    int row = v / a.decimation, column = u / a.decimation;
    long columns = (a.width + a.decimation - 1) / a.decimation;
    u32 *point = a.cloud + 4 * (row * columns + column);
    float z = is_finite(depth) && depth != 0 ? depth : not_a_number();
    point[0] = bits_of(z * a.rays_x[column]);
    point[1] = bits_of(z * a.rays_y[row]);
    point[2] = bits_of(z);
    if (a.intensity) point[3] = bits_of((float)grey(a.image, v, u));
    else point[3] = (u32)level(a.image, v, u, 0) << 16 | (u32)level(a.image, v, u, 1) << 8 |
                    (u32)level(a.image, v, u, 2);
}

BOTH void finish_pixel(const Finish &a, int v, int u) {
    long at = (long)v * a.width + u;
    float depth = believed(a, v, u);
    if (a.max_slope > 0) {
        float excess = fmaxf(excess_at(a, v, u, false), excess_at(a, v, u, true));
        if (excess > 1.0f / depth * a.max_slope) depth = not_a_number();
    }
    a.out_depth[at] = depth;
    if (a.disparity) a.out_disparity[at] = is_nan(depth) ? not_a_number() : a.disparity[at];
    if (a.cloud && v % a.decimation == 0 && u % a.decimation == 0) pack_point(a, v, u, depth);
}

// ---- one thread or one turn of a loop for each pixel

#ifdef __CUDACC__

extern "C" __global__ void prepare(const Prepare a) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < a.network_w && y < a.network_h) prepare_pixel(a, blockIdx.z, y, x);
}

extern "C" __global__ void restore(const Restore a) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < a.width && y < a.height) restore_pixel(a, y, x);
}

extern "C" __global__ void finish(const Finish a) {
    int x = blockIdx.x * blockDim.x + threadIdx.x, y = blockIdx.y * blockDim.y + threadIdx.y;
    if (x < a.width && y < a.height) finish_pixel(a, y, x);
}

#else

extern "C" void host_prepare(const Prepare *a, int images) {
    for (int z = 0; z < images; ++z)
        for (int y = 0; y < a->network_h; ++y)
            for (int x = 0; x < a->network_w; ++x) prepare_pixel(*a, z, y, x);
}

extern "C" void host_restore(const Restore *a, int) {
    for (int y = 0; y < a->height; ++y)
        for (int x = 0; x < a->width; ++x) restore_pixel(*a, y, x);
}

extern "C" void host_finish(const Finish *a, int) {
    for (int y = 0; y < a->height; ++y)
        for (int x = 0; x < a->width; ++x) finish_pixel(*a, y, x);
}

// For the tests of the number formats and of the layout of the structs.
extern "C" u16 host_half_of(float value) { return half_of(value); }
extern "C" float host_float_of_half(u16 half) { return float_of_half(half); }
extern "C" int host_size_of(int which) {
    return which == 0 ? sizeof(Tap) : which == 1 ? sizeof(Prepare) : which == 2 ? sizeof(Restore) : sizeof(Finish);
}

#endif
