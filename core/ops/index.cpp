#include "core/ops/index.h"

#include "core/kernels.h"

namespace galvan {
namespace {

thread_local int t_trusted = 0;

}  // namespace

TrustedIndices::TrustedIndices() { ++t_trusted; }
TrustedIndices::~TrustedIndices() { --t_trusted; }

BadIndex find_bad_index(const Tensor& index, int64_t limit, int64_t ignored) {
  BadIndex bad{-1, 0};
  if (t_trusted > 0) return bad;
  dispatch<"index">(index, [&]<class T>(auto on) {
    bad.position = find_bad_index(on, index.data<T>(), index.numel(), limit, ignored);
  });
  if (bad.position >= 0)
    bad.value = static_cast<int64_t>(index.reshape({index.numel()}).select(0, bad.position).item());
  return bad;
}

}  // namespace galvan
