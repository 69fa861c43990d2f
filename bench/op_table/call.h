// How the op table calls an op: tensors in, tensors out.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace galvan {

using Inputs = std::span<const Tensor>;
using Outputs = std::vector<Tensor>;
using Attributes =
    nlohmann::json;  // an op's arguments other than tensors, as tests/golden/ops.json names them

// Outputs of an op with one.
inline Outputs only(Tensor y) { return {std::move(y)}; }

}  // namespace galvan
