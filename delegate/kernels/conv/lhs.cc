#include "delegate/kernels/conv/conv_layout.h"

namespace int8x {
namespace {

// Writes pixels one after the other in the kernel's format.
class Writer {
 public:
  Writer(const ConvWeights& weights, void* to)
      : format_(weights.kernels.gemm->lhs),
        zero_(static_cast<int8_t>(weights.input_zero_point)),
        to_(static_cast<uint8_t*>(to)) {}

  void copy(const int8_t* from, int64_t count) {
    gemm_copy_lhs(format_, to_, from, count);
    to_ += count * bytes_of(format_);
  }
  // Padding is the zero point: it contributes nothing.
  void pad(int64_t count) {
    gemm_fill_lhs(format_, to_, zero_, count);
    to_ += count * bytes_of(format_);
  }
  void skip(int64_t count) { to_ += count * bytes_of(format_); }

 private:
  const LhsFormat format_;
  const int8_t zero_;
  uint8_t* to_;
};

// Pixels [x, x + count) of an input row that may reach out of the image on both sides. `pixels` is
// pixel 0 of the row, of which `channels` are taken.
void copy_row(Writer& writer, const ConvGeometry& g, const int8_t* pixels, int channels, int x,
              int count) {
  const int left = clamp(-x, 0, count);
  const int inside = clamp(g.in_w - x, left, count) - left;
  const int8_t* from = pixels + int64_t{x + left} * g.in_c;
  if (left > 0) writer.pad(int64_t{left} * channels);
  if (channels == g.in_c) {
    writer.copy(from, int64_t{inside} * channels);
  } else {
    for (int i = 0; i < inside; ++i) writer.copy(from + int64_t{i} * g.in_c, channels);
  }
  if (left + inside < count) writer.pad(int64_t{count - left - inside} * channels);
}

}  // namespace

void conv_gather(const ConvWeights& w, const ConvGeometry& g, int group, const int8_t* input,
                 int64_t first, int64_t count, void* lhs) {
  Writer writer(w, lhs);
  const int8_t* channels = input + int64_t{group} * w.group_in_c;
  if (conv_reads_pixels(w, g) && w.group_in_c == g.in_c && w.padded_k == w.row_k) {
    writer.copy(input + first * g.in_c, count * g.in_c);
    return;
  }
  int x = static_cast<int>(first % g.out_w);
  int y = static_cast<int>(first / g.out_w % g.out_h);
  int64_t batch = first / g.out_w / g.out_h;
  for (int64_t i = 0; i < count; ++i) {
    const int ix = x * g.stride_w - g.pad_left;
    for (int ky = 0; ky < w.kernel_h; ++ky) {
      const int iy = y * g.stride_h + ky * g.dilation_h - g.pad_top;
      const int8_t* row = channels + (batch * g.in_h + iy) * g.in_w * g.in_c;
      if (iy < 0 || iy >= g.in_h) {
        writer.pad(w.row_k);
      } else if (g.dilation_w == 1) {
        copy_row(writer, g, row, w.group_in_c, ix, w.kernel_w);
      } else {
        for (int kx = 0; kx < w.kernel_w; ++kx)
          copy_row(writer, g, row, w.group_in_c, ix + kx * g.dilation_w, 1);
      }
      writer.skip(w.padded_k - w.row_k);
    }
    if (++x == g.out_w) {
      x = 0;
      if (++y == g.out_h) y = 0, ++batch;
    }
  }
}

void conv_copy_window(const ConvWeights& w, const ConvGeometry& g, int window_w, int group,
                      const int8_t* input, int64_t batch, int y, int rows, void* lhs) {
  Writer writer(w, lhs);
  const int8_t* channels = input + int64_t{group} * w.group_in_c;
  const int first = y * g.stride_h - g.pad_top;
  const int last = first + (rows - 1) * g.stride_h + (w.kernel_h - 1) * g.dilation_h;
  for (int iy = first; iy <= last; ++iy) {
    if (iy < 0 || iy >= g.in_h) {
      writer.pad(int64_t{window_w} * w.group_in_c);
    } else {
      const int8_t* row = channels + (batch * g.in_h + iy) * g.in_w * g.in_c;
      copy_row(writer, g, row, w.group_in_c, -g.pad_left, window_w);
    }
  }
}

}  // namespace int8x
