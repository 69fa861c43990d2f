// Picking rows and elements on the card equals the CPU's, bit for bit where values are copied.
#include "cuda/runtime/recorder.h"
#include "kernel_test.h"

using namespace galvan;

namespace {

std::vector<int32_t> random_index(int64_t n, int64_t limit) {
  std::vector<int32_t> index;
  for (const float u : random_values<float>(n, "index", 0, 1))
    index.push_back(static_cast<int32_t>(u * static_cast<float>(limit)));
  return index;
}

}  // namespace

TEST_CASE_TEMPLATE("select_rows and its gradient equal the CPU's", T, float, double, bfloat16) {
  const Stream stream;
  const Cuda cuda{stream};
  const auto check = [&](int64_t outer, int64_t rows, int64_t picks, int64_t inner) {
    // Gradients so small that their sums are of size 1 or less.
    const auto x = random_values<T>(outer * rows * inner, "x"),
               dy = random_values<T>(outer * picks * inner, "dy", -0.05, 0.05);
    const auto index = random_index(picks, rows);
    std::vector<T> y(dy.size()),
        dx = random_values<T>(outer * rows * inner, "dx");  // overwritten, or added to
    const DeviceArray<T> dev_x(x), dev_dy(dy), dev_y(y.size()), dev_dx(dx);
    const DeviceArray<int32_t> dev_index(index);
    const auto both = [&](auto forward, auto backward) {
      forward(Cpu{}, x.data(), index.data(), y.data(), outer, rows, picks, inner);
      forward(cuda, dev_x.data(), dev_index.data(), dev_y.data(), outer, rows, picks, inner);
      backward(Cpu{}, dy.data(), index.data(), dx.data(), outer, rows, picks, inner);
      backward(cuda, dev_dy.data(), dev_index.data(), dev_dx.data(), outer, rows, picks, inner);
    };
    both([](auto on, auto... p) { select_rows<T>(on, p...); },
         [&](auto on, auto... p) { select_rows_backward<T>(on, p..., inner == 33); });
    check_close(dev_y.values(), y, 0);
    check_close(dev_dx.values(), dx, tolerance<T>(picks));
  };
  for (const int64_t outer : {0, 1, 3})
    for (const int64_t rows : {1, 5, 33})
      for (const int64_t picks : {0, 1, 31, 65})
        for (const int64_t inner : {1, 33, 129}) check(outer, rows, picks, inner);
  check(2, 3, 1100, 65);
  check(1, 1025, 0, 33);
  check(2, 1025, 65, 33);
  check(1, 1040, 1100, 129);
  const AsReplica as_replica;
  check(2, 33, 65, 129);
}

TEST_CASE_TEMPLATE("embed equals the CPU's", T, float, double, bfloat16) {
  const Stream stream;
  const Cuda cuda{stream};
  for (const int64_t batch : {0, 1, 3})
    for (const int64_t length : {1, 5})
      for (const int64_t columns : {1, 8, 33, 64}) {
        const Both<T> weight(random_values<T>(11 * columns, "weight")),
            positions(random_values<T>(length * columns, "positions"));
        const Both<int32_t> index(random_index(batch * length, 11));
        Both<T> y(batch * length * columns);
        embed<T>(Cpu{}, weight.host.data(), positions.host.data(), index.host.data(), y.host.data(), batch,
                 length, columns);
        embed<T>(cuda, weight.device.data(), positions.device.data(), index.device.data(), y.device.data(),
                 batch, length, columns);
        y.check(0);
      }
}

TEST_CASE_TEMPLATE("gather and its gradient equal the CPU's, from strided tensors too", T, float, double,
                   bfloat16) {
  const Stream stream;
  const Cuda cuda{stream};
  const Shape shape{3, 5, 7}, source{4, 9, 7};
  for (const int dim : {0, 1, 2}) {
    for (const Strides& strides : {Strides{63, 7, 1}, Strides{1, 4, 36}}) {
      const auto x = random_values<T>(source.numel(), "x"), dy = random_values<T>(shape.numel(), "dy");
      const auto index = random_index(shape.numel(), dim == 2 ? 7 : source[dim]);
      std::vector<T> y(dy.size()), dx(x.size());
      const DeviceArray<T> dev_x(x), dev_dy(dy), dev_y(y.size()), dev_dx(dx.size());
      const DeviceArray<int32_t> dev_index(index);
      gather<T>(Cpu{}, x.data(), strides, index.data(), y.data(), shape, dim);
      gather<T>(cuda, dev_x.data(), strides, dev_index.data(), dev_y.data(), shape, dim);
      gather_backward<T>(Cpu{}, dy.data(), index.data(), dx.data(), strides, shape, dim);
      gather_backward<T>(cuda, dev_dy.data(), dev_index.data(), dev_dx.data(), strides, shape, dim);
      check_close(dev_y.values(), y, 0);
      check_close(dev_dx.values(), dx, 0);
    }
  }
}

TEST_CASE("find_bad_index finds the first of several") {
  const Stream stream;
  const Cuda cuda{stream};
  const auto found = [&](const std::vector<int32_t>& index, int64_t limit) {
    const DeviceArray<int32_t> device(index);
    const auto n = static_cast<int64_t>(index.size());
    const int64_t at = find_bad_index(cuda, device.data(), n, limit, -100);
    CHECK(find_bad_index(Cpu{}, index.data(), n, limit, -100) == at);
    return at;
  };
  CHECK(found({}, 3) == -1);
  CHECK(found({3}, 3) == 0);
  CHECK(found({-1}, 3) == 0);
  CHECK(found({2, -100, 0, -7, 1, 3}, 3) == 3);
  std::vector<int32_t> index = random_index(2500, 11);
  CHECK(found(index, 11) == -1);
  index[2400] = 11;
  CHECK(found(index, 11) == 2400);
  index[1400] = -1;
  CHECK(found(index, 11) == 1400);
}
