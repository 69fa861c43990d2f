// Packs: 16 bytes of neighbouring elements, which a thread moves with one instruction where they are aligned.
//
// A row is dealt out to threads pack by pack whether or not it is aligned: what a thread sums, and in which
// order, depends on the row's length alone. Only how a pack gets here differs (kWhole).
#pragma once

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "core/dtype.h"
#include "cuda/ptx.h"

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

// A pack on its way between memory and arithmetic: bfloat16 as words of two elements. As elements of 16 bits, what may not
// have been loaded would take three instructions each on their way to floats instead of one.
struct [[gnu::may_alias]] alignas(16) PackOfWords {
  uint32_t at[4];
};
template <class T>
using Raw = std::conditional_t<std::is_same_v<T, bfloat16>, PackOfWords, Pack<T>>;

template <bool kWhole, class T>
__device__ inline Raw<T> load_raw(const T* row, int64_t c, int64_t columns) {
  if constexpr (!std::is_same_v<T, bfloat16>) {
    return load_pack<kWhole>(row, c, columns);
  } else if constexpr (kWhole) {
    one_access(row + c, sizeof(Raw<T>));
    return *reinterpret_cast<const Raw<T>*>(row + c);
  } else {
    Raw<T> raw{};
#pragma unroll
    for (int i = 0; i < kPack<T>; ++i)
      if (c + i < columns) raw.at[i / 2] |= uint32_t{row[c + i].bits} << i % 2 * 16;
    return raw;
  }
}

template <bool kWhole, class T>
__device__ inline void store_raw(T* row, int64_t c, int64_t columns, const Raw<T>& raw) {
  if constexpr (!std::is_same_v<T, bfloat16>) {
    store_pack<kWhole>(row, c, columns, raw);
  } else if constexpr (kWhole) {
    one_access(row + c, sizeof(Raw<T>));
    *reinterpret_cast<Raw<T>*>(row + c) = raw;
  } else {
#pragma unroll
    for (int i = 0; i < kPack<T>; ++i)
      if (c + i < columns) row[c + i].bits = static_cast<uint16_t>(raw.at[i / 2] >> i % 2 * 16);
  }
}

// A pack's elements in the type that they are summed in.
template <class T>
using Wide = Pack<Acc<T>, kPack<T>>;

template <class T>
__device__ inline Wide<T> widened(const Raw<T>& raw) {
  Wide<T> wide;
#pragma unroll
  for (int i = 0; i < kPack<T>; ++i) {
    if constexpr (std::is_same_v<T, bfloat16>) {
      wide.at[i] = std::bit_cast<float>(i % 2 == 0 ? raw.at[i / 2] << 16 : raw.at[i / 2] & 0xffff0000u);
    } else {
      wide.at[i] = raw.at[i];
    }
  }
  return wide;
}

// Rounded to T.
template <class T>
__device__ inline Raw<T> narrowed(const Wide<T>& wide) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    Raw<T> raw;
#pragma unroll
    for (int i = 0; i < kPack<T>; i += 2) raw.at[i / 2] = pack_bf16(wide.at[i], wide.at[i + 1]);
    return raw;
  } else {
    return wide;
  }
}

}  // namespace galvan
