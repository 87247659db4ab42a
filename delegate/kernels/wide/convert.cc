#include "delegate/kernels/wide/convert.h"

#include <cmath>

namespace int8x {
namespace {

constexpr int64_t kTile = 8192;

struct Limits {
  int32_t min, max;
};
Limits limits_of(ElementType type) {
  switch (type) {
    case ElementType::s8:
      return {-128, 127};
    case ElementType::u8:
      return {0, 255};
    default:
      return {INT16_MIN, INT16_MAX};
  }
}

// int32 of NaN or out of range is INT32_MIN, as in the reference on x86.
int32_t to_int32(float x) {
  return x >= -2147483648.0f && x < 2147483648.0f ? static_cast<int32_t>(x) : INT32_MIN;
}

template <typename To>
void quantize(const RescaleParams& p, const void* input, void* output, int64_t begin, int64_t end) {
  const float* from = static_cast<const float*>(input);
  To* to = static_cast<To*>(output);
  const Limits limits = limits_of(p.output.type);
  for (int64_t i = begin; i < end; ++i) {
    const int32_t y =
        wrapping_add(to_int32(std::round(from[i] / p.output.scale)), p.output.zero_point);
    to[i] = static_cast<To>(clamp(y, limits.min, limits.max));
  }
}

template <typename From>
void dequantize(const RescaleParams& p, const void* input, void* output, int64_t begin,
                int64_t end) {
  const From* from = static_cast<const From*>(input);
  float* to = static_cast<float*>(output);
  for (int64_t i = begin; i < end; ++i) {
    to[i] = p.input.scale * static_cast<float>(from[i] - p.input.zero_point);
  }
}

template <typename From, typename To>
void requantize(const RescaleParams& p, const void* input, void* output, int64_t begin,
                int64_t end) {
  const From* from = static_cast<const From*>(input);
  To* to = static_cast<To*>(output);
  const Limits limits = limits_of(p.output.type);
  for (int64_t i = begin; i < end; ++i) {
    const int32_t x = from[i] - p.input.zero_point;
    const int32_t y =
        wrapping_add(multiply_by_quantized_multiplier(x, p.multiplier), p.output.zero_point);
    to[i] = static_cast<To>(clamp(y, limits.min, limits.max));
  }
}

constexpr struct {
  ElementType input, output;
  decltype(RescaleParams::run) run;
} kConversions[] = {
    {ElementType::f32, ElementType::s16, quantize<int16_t>},
    {ElementType::f32, ElementType::u8, quantize<uint8_t>},
    {ElementType::s16, ElementType::f32, dequantize<int16_t>},
    {ElementType::u8, ElementType::f32, dequantize<uint8_t>},
    {ElementType::s16, ElementType::s16, requantize<int16_t, int16_t>},
    {ElementType::s16, ElementType::s8, requantize<int16_t, int8_t>},
    {ElementType::s8, ElementType::s16, requantize<int8_t, int16_t>},
    {ElementType::u8, ElementType::s16, requantize<uint8_t, int16_t>},
};

bool usable(const RescaleTensor& t) {
  if (t.type == ElementType::f32) return true;
  const Limits limits = limits_of(t.type);
  return std::isfinite(t.scale) && t.scale > 0 && t.zero_point >= limits.min &&
         t.zero_point <= limits.max;
}

}  // namespace

bool make_rescale_params(const RescaleTensor& input, const RescaleTensor& output, int64_t count,
                         RescaleParams* out) {
  if (!usable(input) || !usable(output) || count <= 0) return false;
  *out = {input, output, {0, 0}, count, nullptr};
  for (const auto& conversion : kConversions) {
    if (conversion.input == input.type && conversion.output == output.type) {
      out->run = conversion.run;
    }
  }
  if (out->run == nullptr) return false;
  if (input.type != ElementType::f32 && output.type != ElementType::f32) {
    out->multiplier =
        quantize_multiplier(static_cast<double>(input.scale) / static_cast<double>(output.scale));
  }
  return out->multiplier.shift <= 30;
}

int64_t rescale_tiles(const RescaleParams& p) { return (p.count + kTile - 1) / kTile; }

void rescale_run(const RescaleParams& p, const void* input, void* output, int64_t tile_begin,
                 int64_t tile_end, void*) {
  const int64_t end = tile_end * kTile < p.count ? tile_end * kTile : p.count;
  p.run(p, input, output, tile_begin * kTile, end);
}

}  // namespace int8x
