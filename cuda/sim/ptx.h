// The functions of cuda/ptx.h for the host compiler. A lane brings its operands to a rendezvous of its warp, and
// what the last one finds there is the matrices.
#pragma once

#include <cmath>

#include "core/dtype.h"
#include "cuda/sim/device.h"

namespace galvan {
namespace sim {

inline void check_aligned(const char* name, const void* address, size_t alignment, const Place& where) {
  const size_t rest = reinterpret_cast<uintptr_t>(address) % alignment;
  if (rest != 0)
    Block::current()->error(concat(name, ": an address ", rest, " bytes past a multiple of ", alignment),
                            where);
}

struct MatrixLoad {
  uint16_t row[8];
  uint32_t r[4];
};

// Lane l's register of the matrix whose rows are lanes[first], ..., lanes[first + 7], or of its transpose.
template <bool kTransposed>
uint32_t matrix_pair(void* const* lanes, int first, int l) {
  const auto element = [&](int row, int column) -> uint32_t {
    return static_cast<MatrixLoad*>(lanes[first + row])->row[column];
  };
  const int row = l / 4, column = l % 4 * 2;
  if (kTransposed) return element(column, row) | element(column + 1, row) << 16;
  return element(row, column) | element(row, column + 1) << 16;
}

template <bool kTransposed>
__forceinline__ void ldmatrix(const char* name, uint32_t (&r)[4], const bfloat16* row, const Place& where) {
  check_aligned(name, row, 16, where);
  MatrixLoad mine;
#ifdef GALVAN_SIM_CHECK
  one_access(row, sizeof mine.row);
#endif
  std::memcpy(mine.row, row, sizeof mine.row);
  const auto resolve = [](void* const* lanes) {
    for (int l = 0; l < kWarpSize; ++l)
      for (int i = 0; i < 4; ++i)
        static_cast<MatrixLoad*>(lanes[l])->r[i] = matrix_pair<kTransposed>(lanes, 8 * i, l);
  };
  Block::current()->warp_operation(name, 0xffffffffu, &mine, resolve, where);
  for (int i = 0; i < 4; ++i) r[i] = mine.r[i];
}

struct MatrixProduct {
  float* d;
  const uint32_t* a;
  uint32_t b[2];
};

inline float half_of(uint32_t pair, int i) {
  bfloat16 half;
  half.bits = static_cast<uint16_t>(i == 0 ? pair : pair >> 16);
  return half;
}

// d += a b, the sums in the order of k. The card's order is its own.
inline void multiply_matrices(void* const* lanes) {
  const auto lane = [&](int l) { return static_cast<const MatrixProduct*>(lanes[l]); };
  float a[16][16], b[16][8];
  for (int l = 0; l < kWarpSize; ++l) {
    const int row = l / 4, column = l % 4 * 2;
    for (int i = 0; i < 2; ++i) {
      for (int quarter = 0; quarter < 4; ++quarter)
        a[row + quarter % 2 * 8][column + i + quarter / 2 * 8] = half_of(lane(l)->a[quarter], i);
      for (int half = 0; half < 2; ++half) b[column + i + half * 8][row] = half_of(lane(l)->b[half], i);
    }
  }
  for (int l = 0; l < kWarpSize; ++l) {
    for (int i = 0; i < 4; ++i) {
      const int row = l / 4 + i / 2 * 8, column = l % 4 * 2 + i % 2;
      for (int k = 0; k < 16; ++k) lane(l)->d[i] += a[row][k] * b[k][column];
    }
  }
}

}  // namespace sim

template <int N>
__forceinline__ void cp_async(void* to, const void* from, int bytes_read = N,
                              const Place& where = Place::current()) {
  static_assert(N == 4 || N == 16);
  sim::check_aligned("cp.async", to, N, where);
  if (bytes_read > 0) sim::check_aligned("cp.async", from, N, where);
  sim::Block::current()->async_copy(to, from, N, static_cast<size_t>(bytes_read));
}
inline void cp_async_commit() { sim::Block::current()->async_commit(); }
template <int kLeft>
void cp_async_wait(const Place& where = Place::current()) {
  sim::Block::current()->async_wait(kLeft, where);
}

inline void start_next_and_wait() {}

__forceinline__ unsigned draw_ticket(unsigned* counter, unsigned highest) {
  sim::ticket_access(counter);
  unsigned ticket = __atomic_load_n(counter, __ATOMIC_RELAXED);
  while (!__atomic_compare_exchange_n(counter, &ticket, ticket >= highest ? 0 : ticket + 1, false,
                                      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
  }
  return ticket;
}

__forceinline__ void ldmatrix_x4(uint32_t (&r)[4], const bfloat16* row,
                                 const Place& where = Place::current()) {
  sim::ldmatrix<false>("ldmatrix", r, row, where);
}
__forceinline__ void ldmatrix_x4_transposed(uint32_t (&r)[4], const bfloat16* row,
                                            const Place& where = Place::current()) {
  sim::ldmatrix<true>("ldmatrix", r, row, where);
}

inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                         const Place& where = Place::current()) {
  sim::MatrixProduct mine{d, a, {b0, b1}};
  sim::Block::current()->warp_operation("mma", 0xffffffffu, &mine, sim::multiply_matrices, where);
}

inline float exp2_approx(float x) {
  const float power = std::exp2(x);
  return power < 0x1p-126f ? 0.0f : power;  // NaN passes
}

inline uint32_t pack_bf16(float low, float high) {
  const auto bits = [](float x) -> uint32_t {
    return x == x ? bfloat16(x).bits : 0x7fff;
  };  // one NaN for all
  return bits(low) | bits(high) << 16;
}

}  // namespace galvan
