// y[i, ..] = f(x[i, ..], ...) over one shape, every tensor with strides of its own (0 repeats an element): what
// copies and pointwise ops are made of.
//
// Dimensions that lie dense in all the tensors are merged first, so that dense tensors are one dimension. A
// thread makes one pack of at most 16 bytes along the innermost one where all the tensors allow it (aligned,
// stride 1, or 0 in an x), one element elsewhere.
#pragma once

#include <algorithm>
#include <utility>

#include "core/cpu/walk.h"
#include "cuda/pack.h"
#include "cuda/replicas.h"

namespace galvan {

template <class T>
struct Strided {
  T* data;
  Strides strides;
};

// n / d for n < 2^31 and 0 < d < 2^31, by a multiplication (Granlund and Montgomery, PLDI 1994):
//   ((n m >> 32) + n) >> s        s = ceil(log2 d), m = floor(2^32 (2^s - d) / d) + 1
class Divisor {
 public:
  Divisor() = default;
  explicit Divisor(uint32_t d) {
    while ((uint64_t{1} << shift_) < d) ++shift_;
    factor_ = static_cast<uint32_t>((((uint64_t{1} << shift_) - d) << 32) / d + 1);
  }
  __device__ uint32_t divide(uint32_t n) const { return (__umulhi(n, factor_) + n) >> shift_; }

 private:
  uint32_t factor_ = 0, shift_ = 0;
};

// Where pack i starts in each of N tensors. Dimension 0 is the innermost, and counts packs.
template <int N>
struct Places {
  int rank;
  uint32_t count;
  int last_width;  // elements of the last pack
  uint32_t sizes[kMaxRank];
  Divisor divisors[kMaxRank];
  int64_t strides[N][kMaxRank];
  bool repeats[N];  // the innermost stride is 0
  int64_t step[N];  // and in elements

  __device__ void locate(uint32_t i, int64_t (&at)[N]) const {
#pragma unroll
    for (int t = 0; t < N; ++t) at[t] = 0;
    for (int d = 0; d < rank; ++d) {
      const uint32_t next = d + 1 < rank ? divisors[d].divide(i) : 0;
      const int64_t coordinate = i - next * sizes[d];
      i = next;
#pragma unroll
      for (int t = 0; t < N; ++t) at[t] += coordinate * strides[t][d];
    }
  }
};

template <int W, class T>
__device__ inline Pack<T, W> load_or_repeat(const T* x, bool repeats) {
  if (!repeats) return pack_at<W>(x);
  Pack<T, W> pack;
#pragma unroll
  for (int i = 0; i < W; ++i) pack.at[i] = *x;
  return pack;
}

template <int W, class F, class Y, class... X>
__device__ inline void map_pack(F f, Y* y, const Pack<X, W>&... x) {
  Pack<Y, W> out;
#pragma unroll
  for (int i = 0; i < W; ++i) out.at[i] = f(x.at[i]...);
  pack_at<W>(y) = out;
}

template <int W, size_t... I, class F, class Y, class... X>
__device__ inline void map_place(std::index_sequence<I...>, F f, const Places<1 + sizeof...(X)>& places,
                                 uint32_t i, Y* y, const X*... x) {
  int64_t at[1 + sizeof...(X)];
  places.locate(i, at);
  const int width = i + 1 < places.count ? W : places.last_width;
  if (W > 1 && width == W) {
    map_pack<W>(f, y + at[0], load_or_repeat<W>(x + at[I + 1], places.repeats[I + 1])...);
  } else {
    for (int64_t j = 0; j < width; ++j)
      y[at[0] + j * places.step[0]] = f(x[at[I + 1] + j * places.step[I + 1]]...);
  }
}

// Whether training steps have the functor: its launches, of one floating-point type, may be for several replicas.
template <class F>
inline constexpr bool kInSteps = false;

template <class Y, class... X>
constexpr bool are_one_float_type() {
  return (std::is_same_v<Y, float> || std::is_same_v<Y, bfloat16>)&&(std::is_same_v<X, Y> && ...);
}

template <int W, class F, class Y, class... X>
__device__ void map_kernel(F f, const Places<1 + sizeof...(X)>& places, Y* y, const X*... x) {
  const uint32_t i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < places.count) map_place<W>(std::index_sequence_for<X...>(), f, places, i, y, x...);
}

template <int W, class F, class Y, class... X>
void launch_map(Cuda on, F f, const Walk<1 + sizeof...(X)>& walk, Y* y, const X*... x) {
  constexpr int kTensors = 1 + sizeof...(X), kThreads = 256;
  const int rank = walk.shape.rank();
  const int64_t inner = walk.shape.back(), packs = (inner + W - 1) / W;
  Places<kTensors> places{};
  places.rank = rank;
  places.count = static_cast<uint32_t>(walk.shape.numel() / inner * packs);
  places.last_width = static_cast<int>(inner - (packs - 1) * W);
  for (int d = 0; d < rank; ++d) {
    const int from = rank - 1 - d;
    places.sizes[d] = static_cast<uint32_t>(d == 0 ? packs : walk.shape[from]);
    places.divisors[d] = Divisor(places.sizes[d]);
    for (int t = 0; t < kTensors; ++t) places.strides[t][d] = walk.strides[t][from] * (d == 0 ? W : 1);
  }
  for (int t = 0; t < kTensors; ++t) {
    places.step[t] = walk.inner(t);
    places.repeats[t] = walk.inner(t) == 0;
  }
  constexpr Body kBody{.replicas = kInSteps<F> && are_one_float_type<Y, X...>()};
  launch_body<map_kernel<W, F, Y, X...>, kBody>(blocks_for(places.count, kThreads), kThreads, 0, on.stream, f,
                                                places, y, x...);
}

// Whether packs of W elements of tensor t are aligned, wherever they start.
template <size_t N>
bool allows_packs(const Walk<N>& walk, size_t t, const void* data, int W, size_t element) {
  if (t > 0 && walk.inner(t) == 0) return true;
  bool good =
      walk.inner(t) == 1 && reinterpret_cast<uintptr_t>(data) % (element * static_cast<size_t>(W)) == 0;
  for (int d = 0; d + 1 < walk.shape.rank(); ++d) good = good && walk.strides[t][d] % W == 0;
  return good;
}

template <class F, class Y, class... X>
void map(Cuda on, F f, const Shape& shape, const Strided<Y>& y, const Strided<const X>&... x) {
  if (shape.numel() == 0) return;
  if (shape.numel() >= int64_t{1} << 31) {  // in two halves: a place fits 32 bits
    const int dim = static_cast<int>(std::max_element(shape.begin(), shape.end()) - shape.begin());
    const int64_t first = shape[dim] / 2;
    const auto second = [&](auto t) {
      t.data += first * t.strides[dim];
      return t;
    };
    Shape low = shape, high = shape;
    low[dim] = first;
    high[dim] -= first;
    map(on, f, low, y, x...);
    map(on, f, high, second(y), second(x)...);
    return;
  }
  const auto walk = merged<1 + sizeof...(X)>(shape, {&y.strides, &x.strides...});
  constexpr int W = 16 / static_cast<int>(std::max({sizeof(Y), sizeof(X)...}));
  size_t t = 1;
  bool packs =
      allows_packs(walk, 0, y.data, W, sizeof(Y)) && (walk.shape.rank() == 1 || walk.shape.back() % W == 0);
  ((packs = packs && allows_packs(walk, t++, x.data, W, sizeof(X))), ...);
  if (packs) {
    launch_map<W>(on, f, walk, y.data, x.data...);
  } else {
    launch_map<1>(on, f, walk, y.data, x.data...);
  }
}

// Over n dense elements.
template <class F, class Y, class... X>
void map_dense(Cuda on, F f, int64_t n, Y* y, const X*... x) {
  map(on, f, Shape{n}, Strided<Y>{y, {1}}, Strided<const X>{x, {1}}...);
}

}  // namespace galvan
