// Inputs of the ops that a narrow transformer is made of (branches.cpp), of any sizes.
#pragma once

#include "bench/op_table/op_table.h"

namespace galvan {

// x [.., C] and the residual; weight and bias of the first product, of the last, and of the norm.
OpCase attention_branch_case(std::string name, const Shape& x, int64_t heads);
OpCase mlp_branch_case(std::string name, const Shape& x, int64_t hidden);
// x [.., C], weight [classes, C], targets.
OpCase linear_cross_entropy_case(std::string name, const Shape& x, int64_t classes);

}  // namespace galvan
