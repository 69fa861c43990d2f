// The same test on every version of a kernel (core/variants.h).
#pragma once

#include <doctest/doctest.h>

#include <string>

#include "core/variants.h"

namespace galvan {

// Calls body(versions) once for every version of the kernel, chosen.
template <class F>
void for_each_variant(std::string_view kernel, std::string_view device, const F& body) {
  Variants& versions = variants_of(kernel, device);
  CHECK(versions.chosen() == 0);  // what training uses
  for (const Variant& version : versions.all()) {
    CAPTURE(std::string(kernel));
    CAPTURE(std::string(version.name));
    const ChosenVariant chosen(versions, version.name);
    body(versions);
  }
}

}  // namespace galvan
