#include "core/ops/index.h"

#include "core/kernels.h"

namespace galvan {

BadIndex find_bad_index(const Tensor& index, int64_t limit, int64_t ignored) {
  BadIndex bad{-1, 0};
  dispatch<"index">(index, [&]<class T>(auto on) {
    bad.position = find_bad_index(on, index.data<T>(), index.numel(), limit, ignored);
  });
  if (bad.position >= 0)
    bad.value = static_cast<int64_t>(index.reshape({index.numel()}).select(0, bad.position).item());
  return bad;
}

}  // namespace galvan
