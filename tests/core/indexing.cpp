// embedding, gather, index_select, cat, stack.
#include <doctest/doctest.h>

#include "core/ops.h"
#include "core/parallel.h"

using namespace galvan;

TEST_CASE("an embedding's gradient sums rows in the order of their positions, whatever the threads") {
  const int before = threads();
  const int64_t V = 65, N = 1025, C = 33;
  std::vector<int32_t> ids(N);
  for (int64_t j = 0; j < N; ++j) ids[j] = static_cast<int32_t>(j * j % 59);  // some often, some never
  const Tensor index = Tensor::from(ids, {5, 205});
  const Tensor dy = Tensor::uniform({5, 205, C}, {.low = -1, .seed = 4});
  const std::vector<double> rows = dy.to_vector();
  std::vector<float> sums(V * C, 0.0f);
  for (int64_t j = 0; j < N; ++j)
    for (int64_t c = 0; c < C; ++c) sums[ids[j] * C + c] += static_cast<float>(rows[j * C + c]);
  for (const int count : {1, 2, 3}) {
    set_threads(count);
    const Tensor weight = Tensor::uniform({V, C}, {.seed = 5}).set_requires_grad();
    embedding(weight, index).backward(dy);
    CHECK(weight.grad().to_vector() == std::vector<double>(sums.begin(), sums.end()));
  }
  set_threads(before);
}

TEST_CASE("indexing takes views and whole numbers") {
  const Tensor x = Tensor::arange(24).reshape({4, 6}).transpose(0, 1);  // [6, 4], x[i][j] = i + 6 j
  const Tensor index = Tensor::from(std::vector<int32_t>{5, 9, 0, 9}, {4}).slice(0, 0, 4, 2);
  CHECK(index_select(x, 0, index).to_vector() == std::vector<double>{5, 11, 17, 23, 0, 6, 12, 18});
  const Tensor at = Tensor::from(std::vector<int32_t>{3, 1, 0}, {3, 1});
  CHECK(gather(x, 1, at).to_vector() == std::vector<double>{18, 7, 2});
  CHECK(cat({x.slice(0, 0, 1), x.slice(0, 5, 6)}).to_vector() ==
        std::vector<double>{0, 6, 12, 18, 5, 11, 17, 23});
  CHECK(embedding(Tensor::zeros({3, 2}), Tensor::zeros({0, 2}, {.dtype = DType::i32})).shape() ==
        Shape{0, 2, 2});
}

TEST_CASE("indexing and joining refuse what does not fit") {
  const Tensor weight = Tensor::zeros({65, 3});
  std::vector<int32_t> ids = {0, 64, 2, 70, -1};
  CHECK_THROWS_WITH_AS(embedding(weight, Tensor::from(ids, {5})),
                       "embedding: index 70 at position 3 is out of range for 65 rows", Error);
  CHECK_THROWS_WITH_AS(embedding(weight, Tensor::from(std::vector<int32_t>{-1}, {1})),
                       "embedding: index -1 at position 0 is out of range for 65 rows", Error);
  CHECK_THROWS_WITH_AS(embedding(weight, Tensor::zeros({2})), "embedding: index must be i32, not f32", Error);
  CHECK_THROWS_WITH_AS(embedding(Tensor::zeros({3}), Tensor::arange(2)),
                       "embedding: weight must be [V, C], got [3]", Error);
  const Tensor places = Tensor::zeros({4, 3}), at = Tensor::zeros({2, 3}, {.dtype = DType::i32});
  CHECK_THROWS_WITH_AS(embedding_at(weight, places, at, 2), "embedding_at: positions 2 to 5 of 4", Error);
  CHECK_THROWS_WITH_AS(embedding_at(weight, Tensor::zeros({4, 2}), at),
                       "embedding_at: weight and positions must be [.., C], got [65, 3] and [4, 2]", Error);
  CHECK_THROWS_WITH_AS(embedding_at(weight, places, Tensor::arange(3)),
                       "embedding_at: indices must be [B, T], got [3]", Error);
  CHECK_THROWS_WITH_AS(embedding_at(weight, places, Tensor::full({1, 2}, 65, {.dtype = DType::i32})),
                       "embedding_at: index 65 at position 0 is out of range for 65 rows", Error);
  CHECK_THROWS_WITH_AS(index_select(weight, 1, Tensor::from(std::vector<int32_t>{1, 3}, {2})),
                       "index_select: index 3 at position 1 is out of range for 3 rows", Error);
  CHECK_THROWS_WITH_AS(index_select(weight, 2, Tensor::arange(2)),
                       "index_select: dimension 2 is out of range for 2 dimensions", Error);
  CHECK_THROWS_WITH_AS(gather(weight, 1, Tensor::full({2, 1}, 3, {.dtype = DType::i32})),
                       "gather: index 3 at position 0 is out of range for dimension 1 of [65, 3]", Error);
  CHECK_THROWS_WITH_AS(gather(weight, 0, Tensor::zeros({2, 4}, {.dtype = DType::i32})),
                       "gather: index [2, 4] does not fit [65, 3] outside dimension 0", Error);
  CHECK_THROWS_WITH_AS(cat({}), "cat: needs at least 1 tensor", Error);
  CHECK_THROWS_WITH_AS(cat({weight, Tensor::zeros({2, 4})}),
                       "cat: shapes [65, 3] and [2, 4] differ outside dimension 0", Error);
  CHECK_THROWS_WITH_AS(stack({weight, Tensor::zeros({2, 3})}), "stack: shapes [65, 3] and [2, 3] differ",
                       Error);
}
