#include "core/allocator.h"

#include <doctest/doctest.h>

#include <cstring>
#include <thread>

#include "core/autograd.h"
#include "core/ops.h"

using namespace galvan;

TEST_CASE("memory is aligned, disjoint and counted") {
  const MemoryStats before = memory_stats();
  std::vector<std::pair<char*, int64_t>> blocks;
  for (int64_t bytes : {0, 1, 63, 64, 65, 4095, 4097, 1 << 20, (2 << 20) + 1, 5 << 20}) {
    char* block = static_cast<char*>(allocate_memory(bytes));
    CHECK(reinterpret_cast<uintptr_t>(block) % 64 == 0);
    std::memset(block, static_cast<int>(blocks.size()), static_cast<size_t>(bytes));
    blocks.emplace_back(block, bytes);
  }
  CHECK(memory_stats().bytes_in_use - before.bytes_in_use >= 8 << 20);
  CHECK(memory_stats().peak_bytes_in_use >= memory_stats().bytes_in_use);
  CHECK(memory_stats().bytes_reserved >= memory_stats().bytes_in_use);
  for (size_t i = 0; i < blocks.size(); ++i)
    for (int64_t at : {int64_t{0}, blocks[i].second / 2, blocks[i].second - 1})
      if (at >= 0 && at < blocks[i].second) CHECK(blocks[i].first[at] == static_cast<char>(i));
  for (const auto& [block, bytes] : blocks) free_memory(block, bytes);
  CHECK(memory_stats().bytes_in_use == before.bytes_in_use);
  reset_peak_memory();
  CHECK(memory_stats().peak_bytes_in_use == before.bytes_in_use);
}

TEST_CASE("a freed block comes back first") {
  void* a = allocate_memory(1000);
  free_memory(a, 1000);
  void* b = allocate_memory(990);  // of the same size class
  CHECK(a == b);
  free_memory(b, 990);
}

TEST_CASE("a training step takes nothing from the system once it has run") {
  const Tensor w = Tensor::uniform({257, 1031}, {.seed = 1}).set_requires_grad();
  const auto step = [&] {
    const Tensor loss = mean(pow(gelu(mul(w, w)), 2.0));
    loss.backward();
    const NoGrad guard;
    w.copy_(sub(w, mul(w.grad(), 0.1)));
    w.set_grad(Tensor());
  };
  step();
  step();
  const MemoryStats before = memory_stats();
  for (int i = 0; i < 3; ++i) step();
  CHECK(memory_stats().system_allocations == before.system_allocations);
  CHECK(memory_stats().bytes_in_use == before.bytes_in_use);
}

TEST_CASE("cached blocks go back to the system when asked") {
  const int64_t bytes = 64 << 20;
  free_memory(allocate_memory(bytes), bytes);
  const int64_t reserved = memory_stats().bytes_reserved;
  release_cached_memory();
  CHECK(memory_stats().bytes_reserved <= reserved - bytes);
  void* again = allocate_memory(bytes);
  std::memset(again, 1, bytes);
  free_memory(again, bytes);
}

TEST_CASE("several threads may allocate at once") {
  std::vector<std::thread> users;
  std::vector<int> wrong(4, 0);
  for (int user = 0; user < 4; ++user)
    users.emplace_back([user, &wrong] {
      for (int i = 0; i < 2000; ++i) {
        const int64_t bytes = 64 + i % 7 * 100;
        int* block = static_cast<int*>(allocate_memory(bytes));
        *block = user;
        std::this_thread::yield();
        wrong[user] += *block != user;
        free_memory(block, bytes);
      }
    });
  for (std::thread& user : users) user.join();
  CHECK(wrong == std::vector<int>(4, 0));
}

TEST_CASE("a request that cannot be met is an error with the number") {
  CHECK_THROWS_WITH_AS(Tensor::empty({int64_t{1} << 50}),
                       doctest::Contains("out of memory: 4503599627370496 bytes were asked for, "), Error);
  CHECK_THROWS_WITH_AS(Tensor::empty({int64_t{1} << 40, int64_t{1} << 40}),
                       "empty: [1099511627776, 1099511627776] has too many elements", Error);
}
