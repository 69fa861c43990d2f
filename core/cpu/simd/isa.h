// Which vector instructions to use, chosen at run time.
//
// A file named *.simd.cpp is compiled once for every instruction set below (the root CMakeLists.txt does it),
// each time with GALVAN_ISA set to its name. It wraps its code in `namespace galvan::GALVAN_ISA`, so the
// copies never meet in the linker, and it must not use std containers or algorithms: their inline functions
// would be shared with the rest of the program, and a processor without AVX-512 could end up running the
// AVX-512 copy. The rest of the program reaches the copies through a function template over Isa:
//
//   axpy.h         template <Isa> void axpy(float a, const float* x, float* y, int64_t n);
//
//   axpy.simd.cpp  #include "core/cpu/simd/vec.h"
//                  namespace galvan::GALVAN_ISA {
//                  void axpy_vectors(...) { ... Vec<float> ... }
//                  }
//                  namespace galvan {
//                  template <Isa isa> void axpy(float a, ...) { GALVAN_ISA::axpy_vectors(a, ...); }
//                  template void axpy<Isa::GALVAN_ISA>(float a, ...);
//                  }
//
//   caller.cpp     with_isa([&]<Isa isa>() { axpy<isa>(2.0f, x, y, n); });
//
// Results may differ in the last bits from one instruction set to another, never from run to run on one.
#pragma once

namespace galvan {

enum class Isa {
  baseline,  // what every processor of the architecture has: 128 bits, on x86 SSE2
  avx2,      // 256 bits with FMA
  avx512,    // 512 bits, 32 registers (F, BW, DQ, VL)
};

// The best one this processor has, or what set_isa() chose.
Isa isa();

// For tests and benchmarks. Throws Error when the processor lacks it.
void set_isa(Isa isa);

const char* isa_name(Isa isa);  // "baseline", "avx2", "avx512"
bool isa_available(Isa isa);

// Calls f.operator()<isa()>().
template <class F>
decltype(auto) with_isa(const F& f) {
#ifdef __x86_64__
  switch (isa()) {
    case Isa::avx512:
      return f.template operator()<Isa::avx512>();
    case Isa::avx2:
      return f.template operator()<Isa::avx2>();
    case Isa::baseline:
      break;
  }
#endif
  return f.template operator()<Isa::baseline>();
}

}  // namespace galvan
