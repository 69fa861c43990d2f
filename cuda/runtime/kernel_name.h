// The names of kernels as people read them.
#pragma once

#include <string>

namespace galvan {

// "softmax_forward_warp_per_row" of "void galvan::(anonymous namespace)::softmax_forward_warp_per_row<float>(...)", mangled
// or not.
std::string short_kernel_name(const char* kernel);

}  // namespace galvan
