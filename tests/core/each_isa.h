// The same test on every instruction set.
#pragma once

#include <doctest/doctest.h>

#include "core/cpu/simd/isa.h"

namespace galvan {

// Runs the body once for every instruction set of this processor.
template <class F>
void for_each_isa(const F& body) {
  const Isa before = isa();
  for (const Isa each : {Isa::baseline, Isa::avx2, Isa::avx512}) {
    if (!isa_available(each)) continue;
    set_isa(each);
    CAPTURE(isa_name(each));
    body();
  }
  set_isa(before);
}

}  // namespace galvan
