// One element type's value as another's: to bool, whether it is not 0; to bfloat16, rounded.
#pragma once

#include <type_traits>

#include "core/dtype.h"

namespace galvan {

template <class To, class From>
constexpr To convert(From value) {
  if constexpr (std::is_same_v<To, From>) {
    return value;
  } else if constexpr (std::is_same_v<To, bool>) {
    return static_cast<Acc<From>>(value) != Acc<From>{};
  } else if constexpr (std::is_same_v<To, bfloat16>) {
    return bfloat16(static_cast<float>(value));
  } else {
    return static_cast<To>(static_cast<Acc<From>>(value));
  }
}

}  // namespace galvan
