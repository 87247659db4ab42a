#include <cmath>
#include <cstdlib>

#include "delegate/kernels/depthwise/depthwise.h"
#include "delegate/kernels/depthwise/leaf.h"

namespace int8x {
namespace {

constexpr DepthwiseKernel kKernels[] = {
#define INT8X_DEPTHWISE_KERNEL(arch, name, channel_block) \
  {                                                       \
      arch,                                               \
      #name,                                              \
      channel_block,                                      \
      name##_fits,                                        \
      name##_packed_bytes,                                \
      name##_pack,                                        \
      name##_scratch_bytes,                               \
      name},
#include "delegate/kernels/depthwise/kernels.inc"
#undef INT8X_DEPTHWISE_KERNEL
};
constexpr int kKernelCount = sizeof(kKernels) / sizeof(kKernels[0]);

constexpr size_t kAlignment = 64;

// Output rows of a tile: enough that the rows a neighbour reads too are few, few enough that there
// are tiles for every thread.
constexpr int32_t kTilePixels = 512;
constexpr int32_t kTileRows = 8;
// Where one tile has all channels, finer ones cost nothing: those that come together are worked
// through as one. Products of a piece that is worth handing to another core, and how many pieces.
constexpr int64_t kPieceProducts = 48 << 10;
constexpr int64_t kFewPieces = 8;

bool usable(double scale) { return std::isfinite(scale) && scale > 0; }

bool is_int8(int32_t x) { return x >= -128 && x <= 127; }

int32_t divide_up(int32_t a, int32_t b) { return (a - 1) / b + 1; }

}  // namespace

DepthwiseKernelList depthwise_kernels() { return {kKernels, kKernelCount}; }

Multiplier depthwise_multiplier(const DepthwiseSpec& s, int32_t c) {
  const double filter_scale = s.filter_scales[s.filter_scale_count == 1 ? 0 : c];
  return quantize_multiplier(static_cast<double>(s.input_scale) * filter_scale /
                             static_cast<double>(s.output_scale));
}

int32_t depthwise_folded_bias(const DepthwiseSpec& s, int32_t c, int32_t input_offset) {
  const int32_t channels = depthwise_channels(s);
  uint32_t sum = 0;
  for (int32_t tap = 0; tap < s.kernel_h * s.kernel_w; ++tap) {
    sum += static_cast<uint32_t>(s.filter[int64_t{tap} * channels + c]);
  }
  const uint32_t bias = s.bias == nullptr ? 0 : static_cast<uint32_t>(s.bias[c]);
  return static_cast<int32_t>(bias -
                              static_cast<uint32_t>(s.input_zero_point + input_offset) * sum);
}

bool depthwise_valid(const DepthwiseSpec& s) {
  const int32_t sizes[] = {s.in_c,     s.depth_multiplier, s.kernel_h,   s.kernel_w,
                           s.stride_h, s.stride_w,         s.dilation_h, s.dilation_w};
  for (int32_t size : sizes) {
    if (size <= 0) return false;
  }
  int32_t channels, taps, values;
  if (__builtin_mul_overflow(s.in_c, s.depth_multiplier, &channels) ||
      __builtin_mul_overflow(s.kernel_h, s.kernel_w, &taps) ||
      __builtin_mul_overflow(channels, taps, &values)) {
    return false;
  }
  if (s.filter_scale_count != 1 && s.filter_scale_count != channels) return false;
  if (!usable(s.input_scale) || !usable(s.output_scale)) return false;
  if (!is_int8(s.input_zero_point) || !is_int8(s.output_zero_point)) return false;
  if (!is_int8(s.activation_min) || !is_int8(s.activation_max)) return false;
  if (s.activation_min > s.activation_max) return false;
  for (int32_t c = 0; c < s.filter_scale_count; ++c) {
    if (!std::isfinite(s.filter_scales[c]) || s.filter_scales[c] < 0) return false;
    if (depthwise_multiplier(s, c).shift > 30) return false;
  }
  return true;
}

DepthwiseWeightsPtr depthwise_pack_for(const DepthwiseSpec& spec, const DepthwiseKernel& kernel) {
  constexpr size_t kHead = (sizeof(DepthwiseWeights) + kAlignment - 1) / kAlignment * kAlignment;
  const size_t bytes = kernel.packed_bytes(spec);
  void* memory = nullptr;
  if (posix_memalign(&memory, kAlignment, kHead + bytes) != 0) return nullptr;
  DepthwiseWeights* weights = static_cast<DepthwiseWeights*>(memory);
  void* packed = static_cast<char*>(memory) + kHead;
  kernel.pack(spec, packed);
  *weights = {spec, depthwise_channels(spec), packed, bytes, &kernel};
  weights->spec.filter = nullptr;
  weights->spec.bias = nullptr;
  weights->spec.filter_scales = nullptr;
  return DepthwiseWeightsPtr(weights);
}

DepthwiseWeightsPtr depthwise_pack(const DepthwiseSpec& spec, arch::ArchSet archs) {
  if (!depthwise_valid(spec)) return nullptr;
  const DepthwiseKernel* kernel = kKernels;
  archs |= arch::bit(arch::reference);
  while (!arch::has(archs, kernel->arch) || !kernel->fits(spec)) ++kernel;
  return depthwise_pack_for(spec, *kernel);
}

void DepthwiseWeightsDeleter::operator()(const DepthwiseWeights* weights) const {
  std::free(const_cast<DepthwiseWeights*>(weights));
}

size_t depthwise_weights_bytes(const DepthwiseWeights& weights) { return weights.bytes; }

int32_t depthwise_input_zero_point(const DepthwiseWeights& weights) {
  return weights.spec.input_zero_point;
}

bool make_depthwise_params(const DepthwiseWeights& weights, const DepthwiseGeometry& g,
                           DepthwiseParams* out) {
  if (g.batch <= 0 || g.in_h <= 0 || g.in_w <= 0 || g.out_h <= 0 || g.out_w <= 0) return false;
  if (g.pad_top < 0 || g.pad_left < 0) return false;
  int32_t rows = divide_up(kTilePixels, g.out_w);
  if (rows < kTileRows) rows = kTileRows;
  if (rows > g.out_h) rows = g.out_h;
  const int32_t block = weights.kernel->channel_block;
  const int32_t channels = divide_up(weights.channels, block) > 1 ? block : weights.channels;
  if (channels == weights.channels) {
    const int64_t taps = int64_t{weights.spec.kernel_h} * weights.spec.kernel_w;
    const int64_t products = int64_t{g.batch} * g.out_h * g.out_w * channels * taps;
    const int64_t pieces = products / kPieceProducts;
    const int32_t wanted = static_cast<int32_t>(pieces < kFewPieces ? pieces : kFewPieces);
    if (wanted > 1 && divide_up(g.out_h, wanted) < rows) rows = divide_up(g.out_h, wanted);
  }
  const int32_t row_tiles = divide_up(g.out_h, rows);
  *out = {&weights, g,         divide_up(g.out_h, row_tiles),
          channels, row_tiles, divide_up(weights.channels, channels)};
  return true;
}

size_t depthwise_scratch_bytes(const DepthwiseParams& params) {
  return params.weights->kernel->scratch_bytes(params);
}

int64_t depthwise_tiles(const DepthwiseParams& params) {
  return int64_t{params.geometry.batch} * params.row_tiles * params.channel_tiles;
}

void depthwise_run(const DepthwiseParams& params, const int8_t* input, int8_t* output,
                   int64_t tile_begin, int64_t tile_end, void* scratch) {
  const DepthwiseKernel& kernel = *params.weights->kernel;
  for (int64_t tile = tile_begin; tile < tile_end;) {
    const int64_t row_tile = tile / params.channel_tiles % params.row_tiles;
    DepthwiseTile t;
    t.batch = static_cast<int32_t>(tile / params.channel_tiles / params.row_tiles);
    t.row_begin = static_cast<int32_t>(row_tile * params.rows_per_tile);
    int64_t joined = 1;
    if (params.channel_tiles == 1) {
      joined = params.row_tiles - row_tile;
      if (joined > tile_end - tile) joined = tile_end - tile;
    }
    t.row_end = t.row_begin + static_cast<int32_t>(joined) * params.rows_per_tile;
    if (t.row_end > params.geometry.out_h) t.row_end = params.geometry.out_h;
    t.channel_begin = static_cast<int32_t>(tile % params.channel_tiles * params.channels_per_tile);
    t.channel_end = t.channel_begin + params.channels_per_tile;
    if (t.channel_end > params.weights->channels) t.channel_end = params.weights->channels;
    kernel.run(params, input, output, t, scratch);
    tile += joined;
  }
}

void depthwise_run_rows(const DepthwiseParams& params, const int8_t* input, int8_t* output,
                        int32_t batch, int32_t row_begin, int32_t row_end, void* scratch) {
  const DepthwiseWeights& w = *params.weights;
  const DepthwiseGeometry& g = params.geometry;
  // Kernels count rows and images from the start of the tensor.
  const int64_t row = int64_t{g.out_w} * w.channels;
  int8_t* start = output - (int64_t{batch} * g.out_h + row_begin) * row;
  for (int32_t channel = 0; channel < w.channels; channel += params.channels_per_tile) {
    const int32_t end = channel + params.channels_per_tile;
    const DepthwiseTile tile = {batch, row_begin, row_end, channel,
                                end < w.channels ? end : w.channels};
    w.kernel->run(params, input, start, tile, scratch);
  }
}

const char* depthwise_kernel_name(const DepthwiseParams& params) {
  return params.weights->kernel->name;
}

}  // namespace int8x
