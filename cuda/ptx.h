// The instructions that CUDA C++ has no words for, by their names in the PTX ISA; from compute capability 8.0 on.
// The simulator's bodies of the same functions are in cuda/sim/ptx.h.
//
// cp_async<N>(to, from, bytes_read = N)   starts a copy of N = 4 or 16 aligned bytes from device to shared
//                                         memory; from bytes_read on (0 or N) they are zeros and not read
// cp_async_commit()                       makes a group of the calling thread's copies since the last one
// cp_async_wait<L>()                      waits until at most the L youngest of the thread's groups are under
//                                         way; a barrier then shows their bytes to other threads
//
// draw_ticket(counter, highest)           counts calls from 0 up to `highest` and then from 0 again, and returns the
//                                         call's number (atom.acq_rel.gpu.inc). Whoever draws sees what those with
//                                         lower numbers have written before; a barrier on each side hands that on
//                                         from and to a block's other threads
//
// start_next_and_wait()                   lets the next kernel's blocks come as soon as all of this one's have, and
//                                         waits until the kernel before has ended and what it wrote is there
//                                         (griddepcontrol.launch_dependents and .wait); nothing in code for compute
//                                         capabilities below 9.0
//
// The rest are a whole warp's: all 32 lanes call them together. A matrix of 8 x 8 bfloat16 is spread over a
// warp's lanes as registers of two: lane l holds elements (l / 4, 2 (l % 4)) and (l / 4, 2 (l % 4) + 1), the
// former in the lower half ("Warp-level matrix load instruction: ldmatrix").
//
// ldmatrix_x4(r, row)          r[i] = matrix i, whose row j is the 8 elements at lane 8 i + j's `row`, in shared
//                              memory, aligned to 16 bytes
// ldmatrix_x4_transposed(...)  r[i] = the transpose of matrix i
// mma_m16n8k16(d, a, b0, b1)   d += a b of a (16, 16), b (16, 8), d (16, 8) in f32; in quarters and halves
//                              ("Matrix fragments for mma.m16n8k16 with floating point type"):
//                                a = | a[0] a[2] |   b^T = | b0 b1 |   d = | d[0] d[1] |  lane l's pair of d
//                                    | a[1] a[3] |                         | d[2] d[3] |  in row l / 4 (+ 8)
// exp2_approx(x)               2^x within 2 units in the last place, 0 below 2^-126 (ex2.approx.ftz)
// pack_bf16(low, high)         both rounded to nearest, ties to even; NaN is 0x7fff
#pragma once

#include "core/dtype.h"
#include "cuda/dialect.h"

#ifdef GALVAN_CUDA_SIM
#include "cuda/sim/ptx.h"
#else

namespace galvan {

__device__ inline unsigned shared_address(const void* p) {
  return static_cast<unsigned>(__cvta_generic_to_shared(p));
}

template <int N>
__device__ inline void cp_async(void* to, const void* from, int bytes_read = N) {
  static_assert(N == 4 || N == 16);
  if constexpr (N == 16) {  // past L1: what is shared is not read again
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from),
                 "r"(bytes_read)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from),
                 "r"(bytes_read)
                 : "memory");
  }
}

__device__ inline void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }

__device__ inline unsigned draw_ticket(unsigned* counter, unsigned highest) {
  unsigned ticket;
  asm volatile("atom.acq_rel.gpu.inc.u32 %0, [%1], %2;"
               : "=r"(ticket)
               : "l"(counter), "r"(highest)
               : "memory");
  return ticket;
}

__device__ inline void start_next_and_wait() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.launch_dependents;");
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

template <int kLeft>
__device__ inline void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
}

__device__ inline void ldmatrix_x4(uint32_t (&r)[4], const bfloat16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

__device__ inline void ldmatrix_x4_transposed(uint32_t (&r)[4], const bfloat16* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}

__device__ inline void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ inline float exp2_approx(float x) {
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
}

__device__ inline uint32_t pack_bf16(float low, float high) {
  uint32_t pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
  return pair;
}

}  // namespace galvan

#endif
