// Memory for replicas of a model that are trained together: what the r-th of them allocates lies r times the same distance
// behind what the first one does, for each block. So matrix products of all replicas are one product of a batch
// (cuda/runtime/matmul.h).
//
//   ReplicaMemory memory(kCuda, 8);
//   {
//     const ReplicaMemory::Use guard(memory, 3);   // on whatever thread: all of the device's memory comes from there
//     model = std::make_unique<Transformer>(...);
//   }
//
// A replica asks for the same sizes in the same order as the others; where it does not, its blocks lie elsewhere, which costs
// time and nothing else. What it frees is its own again, and when all of it has been freed, the next in its place begins
// anew. Blocks may be freed after this has ended.
#pragma once

#include <cstdint>
#include <memory>

#include "core/allocator.h"

namespace galvan {

class ReplicaMemory {
 public:
  ReplicaMemory(Device device, int64_t replicas);
  ~ReplicaMemory();
  ReplicaMemory(const ReplicaMemory&) = delete;
  ReplicaMemory& operator=(const ReplicaMemory&) = delete;

  int64_t replicas() const { return replicas_; }

  class Use {
   public:
    Use(ReplicaMemory& memory, int64_t replica);
    ~Use();
    Use(const Use&) = delete;
    Use& operator=(const Use&) = delete;

   private:
    ReplicaMemory& memory_;
    std::shared_ptr<MemoryRegion> before_;
  };

 private:
  class Region;

  Device device_;
  int64_t replicas_;
  std::shared_ptr<Region> region_;
};

}  // namespace galvan
