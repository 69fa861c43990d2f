// CUDA's device language for the host compiler: what a kernel says that C++ does not know. Each is a rendezvous
// of threads in cuda/sim/block.h.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "cuda/sim/block.h"
#include "cuda/sim/vector_types.h"
#include "cuda/sim/watch.h"

// In the preset `simcheck` these are reported like any other access (cuda/sim/hooks.cpp).
#ifdef GALVAN_SIM_CHECK
asm("memcpy = galvan_sim_memcpy\n memmove = galvan_sim_memmove\n memset = galvan_sim_memset");
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __grid_constant__
#define __align__(n) alignas(n)

// Of the thread that has its turn.
inline thread_local uint3 threadIdx{}, blockIdx{};
inline thread_local dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

using galvan::sim::Place;

// A multiprocessor's cycles; here they count the calls.
long long clock64();

// --- the barriers of a block ---
inline void __syncthreads(const Place& where = Place::current()) {
  galvan::sim::Block::current()->barrier(galvan::sim::Barrier::plain, 0, where);
}
inline int __syncthreads_count(int predicate, const Place& where = Place::current()) {
  return galvan::sim::Block::current()->barrier(galvan::sim::Barrier::count, predicate, where);
}
inline int __syncthreads_and(int predicate, const Place& where = Place::current()) {
  return galvan::sim::Block::current()->barrier(galvan::sim::Barrier::all, predicate, where);
}
inline int __syncthreads_or(int predicate, const Place& where = Place::current()) {
  return galvan::sim::Block::current()->barrier(galvan::sim::Barrier::any, predicate, where);
}

// --- a warp's operations ---
namespace galvan::sim {

// What a lane brings to a shuffle, and where the result comes back.
template <class T>
struct Shuffle {
  T value;
  int source;  // the lane to take from
};

template <class T>
T shuffle(const char* name, unsigned mask, T value, int source, int lane, int width, const Place& where) {
  static_assert(std::is_trivially_copyable_v<T>);
  // Outside of its segment of `width` lanes, a lane keeps its own value.
  if (source / width != lane / width || source < 0) source = lane;
  Shuffle<T> mine{value, source};
  const auto resolve = [](void* const* lanes) {
    T values[kWarpSize] = {};
    bool present[kWarpSize] = {};
    for (int l = 0; l < kWarpSize; ++l) {
      if (!lanes[l]) continue;
      values[l] = static_cast<Shuffle<T>*>(lanes[l])->value;
      present[l] = true;
    }
    for (int l = 0; l < kWarpSize; ++l) {
      if (!lanes[l]) continue;
      auto& lane = *static_cast<Shuffle<T>*>(lanes[l]);
      if (present[lane.source]) {
        lane.value = values[lane.source];
      } else {
        lane.source = -1;
      }
    }
  };
  Block& block = *Block::current();
  block.warp_operation(name, mask, &mine, resolve, where);
  if (mine.source < 0)
    block.error(concat(name, " reads lane ", source, ", which its mask leaves out"), where);
  return mine.value;
}

inline int lane_of_thread() { return Block::current()->lane(); }

// What a lane brings to a vote.
template <class T>
struct Vote {
  T value;
  unsigned ballot;
};

template <class T>
struct Reduction {
  T value;
  T (*combine)(T, T);
};

// What `combine` makes of the values of the lanes in the mask.
template <class T>
T reduce(const char* name, unsigned mask, T value, T (*combine)(T, T), const Place& where) {
  static_assert(std::is_same_v<T, int> || std::is_same_v<T, unsigned>);
  Reduction<T> mine{value, combine};
  const auto resolve = [](void* const* lanes) {
    const Reduction<T>* total = nullptr;
    T result{};
    for (int l = 0; l < kWarpSize; ++l) {
      const auto* const lane = static_cast<const Reduction<T>*>(lanes[l]);
      if (!lane) continue;
      result = total ? lane->combine(result, lane->value) : lane->value;
      total = lane;
    }
    for (int l = 0; l < kWarpSize; ++l)
      if (lanes[l]) static_cast<Reduction<T>*>(lanes[l])->value = result;
  };
  Block::current()->warp_operation(name, mask, &mine, resolve, where);
  return mine.value;
}

}  // namespace galvan::sim

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, const Place& where = Place::current()) {
  const int own = galvan::sim::lane_of_thread();
  return galvan::sim::shuffle("__shfl_sync", mask, value, own / width * width + lane % width, own, width,
                              where);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32,
                 const Place& where = Place::current()) {
  const int own = galvan::sim::lane_of_thread();
  return galvan::sim::shuffle("__shfl_up_sync", mask, value, own - static_cast<int>(delta), own, width,
                              where);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32,
                   const Place& where = Place::current()) {
  const int own = galvan::sim::lane_of_thread();
  return galvan::sim::shuffle("__shfl_down_sync", mask, value, own + static_cast<int>(delta), own, width,
                              where);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int flip, int width = 32, const Place& where = Place::current()) {
  const int own = galvan::sim::lane_of_thread();
  return galvan::sim::shuffle("__shfl_xor_sync", mask, value, own ^ flip, own, width, where);
}

inline void __syncwarp(unsigned mask = 0xffffffffu, const Place& where = Place::current()) {
  galvan::sim::Block::current()->warp_barrier(mask, where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, const Place& where = Place::current()) {
  galvan::sim::Vote<int> mine{predicate, 0};
  galvan::sim::Block::current()->warp_operation(
      "__ballot_sync", mask, &mine,
      [](void* const* lanes) {
        unsigned ballot = 0;
        for (int l = 0; l < 32; ++l)
          if (lanes[l] && static_cast<galvan::sim::Vote<int>*>(lanes[l])->value) ballot |= 1u << l;
        for (int l = 0; l < 32; ++l)
          if (lanes[l]) static_cast<galvan::sim::Vote<int>*>(lanes[l])->ballot = ballot;
      },
      where);
  return mine.ballot;
}
inline int __any_sync(unsigned mask, int predicate, const Place& where = Place::current()) {
  return __ballot_sync(mask, predicate, where) != 0;
}
inline int __all_sync(unsigned mask, int predicate, const Place& where = Place::current()) {
  return __ballot_sync(mask, predicate, where) == mask;
}
template <class T>
T __reduce_add_sync(unsigned mask, T value, const Place& where = Place::current()) {
  const auto add = [](T a, T b) {
    return static_cast<T>(static_cast<unsigned>(a) + static_cast<unsigned>(b));
  };
  return galvan::sim::reduce<T>("__reduce_add_sync", mask, value, add, where);
}
template <class T>
T __reduce_min_sync(unsigned mask, T value, const Place& where = Place::current()) {
  return galvan::sim::reduce<T>(
      "__reduce_min_sync", mask, value, [](T a, T b) { return a < b ? a : b; }, where);
}
template <class T>
T __reduce_max_sync(unsigned mask, T value, const Place& where = Place::current()) {
  return galvan::sim::reduce<T>(
      "__reduce_max_sync", mask, value, [](T a, T b) { return a < b ? b : a; }, where);
}
inline unsigned __reduce_and_sync(unsigned mask, unsigned value, const Place& where = Place::current()) {
  return galvan::sim::reduce<unsigned>(
      "__reduce_and_sync", mask, value, [](unsigned a, unsigned b) { return a & b; }, where);
}
inline unsigned __reduce_or_sync(unsigned mask, unsigned value, const Place& where = Place::current()) {
  return galvan::sim::reduce<unsigned>(
      "__reduce_or_sync", mask, value, [](unsigned a, unsigned b) { return a | b; }, where);
}
inline unsigned __reduce_xor_sync(unsigned mask, unsigned value, const Place& where = Place::current()) {
  return galvan::sim::reduce<unsigned>(
      "__reduce_xor_sync", mask, value, [](unsigned a, unsigned b) { return a ^ b; }, where);
}
inline unsigned __activemask() = delete;  // says nothing that a program may rely on

// --- atomics, on integers alone: float sums in no set order are not reproducible; inlined, so that messages name
// the caller's line ---
template <class T>
requires std::is_integral_v<T> __forceinline__ T atomicAdd(T* address, T value) {
  galvan::sim::atomic_access(address, sizeof(T));
  return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
}
template <class T>
requires std::is_integral_v<T> __forceinline__ T atomicOr(T* address, T value) {
  galvan::sim::atomic_access(address, sizeof(T));
  return __atomic_fetch_or(address, value, __ATOMIC_RELAXED);
}
template <class T>
requires std::is_integral_v<T> __forceinline__ T atomicMax(T* address, T value) {
  galvan::sim::atomic_access(address, sizeof(T));
  T old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (old < value &&
         !__atomic_compare_exchange_n(address, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
template <class T>
requires std::is_integral_v<T> __forceinline__ T atomicMin(T* address, T value) {
  galvan::sim::atomic_access(address, sizeof(T));
  T old = __atomic_load_n(address, __ATOMIC_RELAXED);
  while (value < old &&
         !__atomic_compare_exchange_n(address, &old, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
  }
  return old;
}
template <class T>
requires std::is_integral_v<T> __forceinline__ T atomicExch(T* address, T value) {
  galvan::sim::atomic_access(address, sizeof(T));
  return __atomic_exchange_n(address, value, __ATOMIC_RELAXED);
}

// --- the rest ---
template <class T>
T __ldg(const T* address) {
  return *address;
}
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(uint64_t{a} * b >> 32); }
inline float __fdividef(float a, float b) { return a / b; }
inline void sincospi(double x, double* sine, double* cosine) {
  const double angle = 3.14159265358979323846 * std::remainder(x, 2.0);
  *sine = std::sin(angle);
  *cosine = std::cos(angle);
}
