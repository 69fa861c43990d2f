#include "core/replica_memory.h"

#include <doctest/doctest.h>

#include "core/check.h"

using namespace galvan;

namespace {

// Blocks of a memory's replica, freed with it.
class Blocks {
 public:
  Blocks(ReplicaMemory& memory, int64_t replica) : memory_(&memory), replica_(replica) {}
  ~Blocks() { free_all(); }

  char* allocate(int64_t bytes) {
    const ReplicaMemory::Use guard(*memory_, replica_);
    auto* const block = static_cast<char*>(allocate_memory(bytes));
    blocks_.emplace_back(block, bytes);
    for (int64_t i = 0; i < bytes; ++i) block[i] = 1;  // all of it is there
    return block;
  }
  void free_last() {
    const ReplicaMemory::Use guard(*memory_, replica_);
    free_memory(blocks_.back().first, blocks_.back().second);
    blocks_.pop_back();
  }
  void free_all() {  // outside, as what outlives the memory does
    for (const auto& [block, bytes] : blocks_) free_memory(block, bytes);
    blocks_.clear();
  }

 private:
  ReplicaMemory* memory_;
  int64_t replica_;
  std::vector<std::pair<char*, int64_t>> blocks_;
};

}  // namespace

TEST_CASE("blocks of replicas lie at equal distances, whoever comes first and whatever is freed between") {
  ReplicaMemory memory(kCpu, 3);
  Blocks a(memory, 0), b(memory, 1), c(memory, 2);
  std::vector<char*> of_b, of_c, of_a;
  for (const int64_t bytes : {100, 5000, 100, 4 << 20}) of_b.push_back(b.allocate(bytes));
  for (const int64_t bytes : {100, 5000, 100, 4 << 20}) {
    of_c.push_back(c.allocate(bytes));
    c.allocate(77777);  // in nobody's way
    c.free_last();
  }
  for (const int64_t bytes : {100, 5000, 100, 4 << 20}) of_a.push_back(a.allocate(bytes));
  for (size_t i = 0; i < of_a.size(); ++i) {
    CHECK(of_b[i] > of_a[i]);
    CHECK(of_c[i] - of_b[i] == of_b[i] - of_a[i]);
  }
}

TEST_CASE("who comes after one that has freed everything has the blocks that it had, in their order") {
  ReplicaMemory memory(kCpu, 2);
  Blocks other(memory, 1);
  char *const first_of_other = other.allocate(1000), *const second_of_other = other.allocate(1000);
  for (int generation = 0; generation < 3; ++generation) {
    Blocks mine(memory, 0);
    char *const first = mine.allocate(1000), *const second = mine.allocate(1000);
    CHECK(first_of_other - first == second_of_other - second);
    mine.free_all();
  }
}

TEST_CASE("memory of replicas goes back when all of it is free, then or at the end") {
  const int64_t before = memory_stats().bytes_reserved;
  {
    ReplicaMemory memory(kCpu, 4);
    Blocks blocks(memory, 2);
    blocks.allocate(8 << 20);
    blocks.free_all();
    CHECK(memory_stats().bytes_reserved == before + 4 * (8 << 20));
  }
  CHECK(memory_stats().bytes_reserved == before);

  auto memory = std::make_unique<ReplicaMemory>(kCpu, 4);
  Blocks blocks(*memory, 1);
  char* const block = blocks.allocate(8 << 20);
  memory.reset();
  block[0] = 2;  // it is there still
  CHECK(memory_stats().bytes_reserved == before + 4 * (8 << 20));
  blocks.free_all();
  CHECK(memory_stats().bytes_reserved == before);
}

TEST_CASE("a pool's blocks go back to the replica whose they are") {
  ReplicaMemory memory(kCpu, 2);
  void* block = nullptr;
  {
    const ReplicaMemory::Use guard(memory, 1);
    MemoryPool pool(kCpu);
    const MemoryPool::Use use(pool);
    block = allocate_memory(3 << 20);
    free_memory(block, 3 << 20);
  }
  void* const outside = allocate_memory(3 << 20);
  CHECK(outside != block);
  free_memory(outside, 3 << 20);
  const ReplicaMemory::Use guard(memory, 1);
  void* const again = allocate_memory(3 << 20);
  CHECK(again == block);
  free_memory(again, 3 << 20);
}

TEST_CASE("there is no place beyond the last") {
  CHECK_THROWS_WITH_AS(ReplicaMemory(kCpu, 0), "replicas: there is room for 0", Error);
  ReplicaMemory memory(kCpu, 2);
  CHECK_THROWS_WITH_AS(ReplicaMemory::Use(memory, 2), "replicas: there are 2, not one 2", Error);
}
