// The same test on every version of a kernel of the CPU.
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "core/variants.h"

namespace galvan {

// Calls body(versions) once for every version of the kernel, chosen; in the end what training uses is chosen again.
template <class F>
void for_each_variant(std::string_view kernel, const F& body) {
  for (Variants* versions : all_variants()) {
    if (versions->kernel() != kernel || versions->device() != "cpu") continue;
    struct Restore {
      Variants& versions;
      ~Restore() { versions.choose(versions.all().front().name); }
    } restore{*versions};
    for (const Variant& version : versions->all()) {
      CAPTURE(std::string(kernel));
      CAPTURE(std::string(version.name));
      versions->choose(version.name);
      body(*versions);
    }
  }
}

}  // namespace galvan
