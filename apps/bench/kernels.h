// What there is to measure: the rows of the op table and the optimizer's update, each in every way that it can be done.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "bench/op_table/op_table.h"

namespace galvan {

// What the clock looks at: a call whose arguments are ready.
using PreparedCall = std::function<Outputs()>;
using Prepare = std::function<PreparedCall(const std::vector<Tensor>& inputs, const Attributes&)>;

struct BenchKernel {
  std::string name;  // of its row in the op table, or "adamw"
  std::function<bool(DType)> takes;
  bool has_backward = false;
  std::function<OpCase(const Sizes&)> bench;
  Prepare prepare;
  std::function<int64_t(Inputs, const Attributes&)> length;  // as in OpRow
  std::function<double(Inputs, const Outputs&)> flops, bytes;
};
std::vector<BenchKernel> bench_kernels();

enum class Pass { forward, forward_and_backward };
const char* name(Pass pass);  // "forward", "forward and backward"

enum class Role {
  only,        // there is no other
  rung,        // of the ladder that leads up to what training uses
  production,  // what training uses
  library,     // somebody else's, to be measured by
  own          // a user's (bench/op_table/own_kernel.h)
};
const char* name(Role role);
Role parse_role(const std::string& name);

// A way to do it.
struct Technique {
  std::string name, file;  // "" and "" of the only one
  Role role = Role::only;
  std::function<void()> choose = nullptr,
                        restore = nullptr;  // puts it in place of what training uses, and back
  Prepare prepare = nullptr;                // in place of the kernel's
};

// While one lives, a technique is what runs.
class InUse {
 public:
  explicit InUse(const Technique& technique);
  ~InUse();
  InUse(const InUse&) = delete;
  InUse& operator=(const InUse&) = delete;

 private:
  const Technique& technique_;
};

// Those of a kernel on a device: the ladder from the lowest rung up, what training uses, the library's, users' own. The
// versions (core/variants.h) that are named after the kernel are its forward pass', those of KERNEL_backward its other's.
std::vector<Technique> techniques_of(const BenchKernel& kernel, Pass pass, const std::string& device);

}  // namespace galvan
