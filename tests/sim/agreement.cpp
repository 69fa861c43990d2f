// The simulator's headers are CUDA's where they have to be: what cuda/sim/agreement.h and agreement_cublas.h assert,
// and that they leave out nothing.
#include "cuda/sim/agreement.h"

#include "cuda/sim/agreement_cublas.h"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <string>

#include "core/dtype.h"

namespace {

std::set<std::string> names_in(const std::string& file) {
  std::ifstream in(std::string(GALVAN_SOURCE_DIR) + "/cuda/sim/" + file);
  REQUIRE(in.good());
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  const std::regex name(
      "\\b(cublas\\w+_t|cublasLt\\w+|(CUBLAS|CUBLASLT|CUDA_R)_\\w+|cuda[A-Z][A-Za-z_]*|(make_)?(u?int|"
      "float|double)[2-4]|dim3)\\b");
  return {std::sregex_token_iterator(text.begin(), text.end(), name), {}};
}

}  // namespace

TEST_CASE("every name of the simulator's headers is held against CUDA's own") {
  std::set<std::string> asserted = names_in("agreement.h");
  asserted.merge(names_in("agreement_cublas.h"));
  for (const std::string file : {"include/cuda_runtime.h", "include/cublasLt.h", "vector_types.h"})
    for (const std::string& name : names_in(file)) CHECK_MESSAGE(asserted.count(name) == 1, name);
}
