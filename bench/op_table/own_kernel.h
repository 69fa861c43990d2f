// A kernel of one's own, beside the project's: checked against the op's values in f64, measured, and drawn like them by
// `galvan bench`. It joins by one line in the file that it stands in (docs/add-a-kernel.md):
//
//   const OwnKernel mine("softmax", "cpu", "three_loops", [](Inputs in, const Attributes&) { return only(three_loops(in[0])); });
//
// and the file by `cmake -D GALVAN_KERNELS=my_softmax.cpp`.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/op_table/call.h"

namespace galvan {

class OwnKernel {
 public:
  // Of a row of the op table; of the forward pass. `call` gets what the row's does: tensors on that device ("cpu" or
  // "cuda"), dense, and the op's other arguments; it returns new ones.
  OwnKernel(std::string op, std::string device, std::string name,
            std::function<Outputs(Inputs, const Attributes&)> call, const char* file = __builtin_FILE());
  OwnKernel(const OwnKernel&) = delete;
  OwnKernel& operator=(const OwnKernel&) = delete;

  const std::string op, device, name;
  const std::function<Outputs(Inputs, const Attributes&)> call;
  const std::string file;
};

// All there are in this program, in no order that matters.
const std::vector<const OwnKernel*>& own_kernels();

}  // namespace galvan
