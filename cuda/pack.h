// Packs: 16 bytes of neighbouring elements, which a thread moves with one instruction where they are aligned.
//
// A row is dealt out to threads pack by pack whether or not it is aligned: what a thread sums, and in which
// order, depends on the row's length alone. Only how a pack gets here differs (kWhole).
#pragma once

#include <initializer_list>
#include <type_traits>

#include "core/dtype.h"
#include "cuda/dialect.h"

namespace galvan {

template <class T, int N = 16 / sizeof(T)>
struct alignas(N * sizeof(T)) Pack {
  static constexpr int kSize = N;
  T at[N];
};
template <class T>
inline constexpr int kPack = Pack<T>::kSize;

// x[0], x[1], ..., x[N - 1], aligned.
template <int N, class T>
__device__ inline auto& pack_at(T* x) {
  using P = std::conditional_t<std::is_const_v<T>, const Pack<std::remove_const_t<T>, N>, Pack<T, N>>;
  one_access(x, sizeof(P));
  return *reinterpret_cast<P*>(x);
}

// Whether every pack of rows of `columns` elements is whole and aligned. A null pointer is.
template <class T>
bool packs_are_whole(int64_t columns, std::initializer_list<const T*> rows) {
  if (columns % kPack<T> != 0) return false;
  for (const T* row : rows)
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0) return false;
  return true;
}

// row[c], row[c + 1], ...; 0 from `columns` on.
template <bool kWhole, class T>
__device__ inline Pack<T> load_pack(const T* row, int64_t c, int64_t columns) {
  if constexpr (kWhole) {
    return pack_at<kPack<T>>(row + c);
  } else {
    Pack<T> pack;
#pragma unroll
    for (int i = 0; i < kPack<T>; ++i) pack.at[i] = c + i < columns ? row[c + i] : T(0);
    return pack;
  }
}

template <bool kWhole, class T>
__device__ inline void store_pack(T* row, int64_t c, int64_t columns, const Pack<T>& pack) {
  if constexpr (kWhole) {
    pack_at<kPack<T>>(row + c) = pack;
  } else {
#pragma unroll
    for (int i = 0; i < kPack<T>; ++i)
      if (c + i < columns) row[c + i] = pack.at[i];
  }
}

}  // namespace galvan
