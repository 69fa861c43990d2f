// The bookkeeping behind cuda/sim/counts.h.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <unordered_map>
#include <vector>

#include "cuda/sim/counts.h"
#include "cuda/sim/watch.h"

namespace galvan::sim {

class Counter {
 public:
  explicit Counter(const Operation& operation);

  void begin_block();
  // By thread `thread` of the block, which has met others `meetings` times. Addresses of shared memory lie past all
  // of global memory's, and bank 0 at a multiple of 128.
  void one_access(int thread, uint32_t meetings, uint64_t address, size_t bytes, const void* code);
  void access(bool shared, int thread, uint32_t meetings, uint64_t address, size_t bytes, Access kind,
              const void* code);
  void barrier(int threads);
  void warp_barrier() { ++counts_.warp_barriers; }
  // After the last block.
  Counts counts();

 private:
  // At one instruction, by one thread or one warp.
  struct Instruction {
    const void* code;
    int who;
    uint32_t meetings;
    Access kind;
    bool shared;
    bool operator==(const Instruction&) const = default;
  };
  struct Request {
    Instruction at;
    uint32_t number;  // the how manieth there
    bool operator==(const Request&) const = default;
  };
  struct Hash {
    size_t operator()(const Instruction& at) const;
    size_t operator()(const Request& request) const;
  };
  struct Part {  // of a request, by one lane
    int lane;
    uint64_t address;
    size_t bytes;
  };
  // One instruction, of which the host's compiler may make several.
  struct Announced {
    uint64_t address = 0;
    size_t bytes = 0;
    const void* code = nullptr;
    uint32_t meetings = 0, number = 0;
    uint32_t read = 0, written = 0;  // a bit for each of its bytes
  };
  static constexpr size_t kAnnouncedKept = 8;
  struct Thread {
    std::array<Announced, kAnnouncedKept> announced;
    size_t next = 0;
  };
  struct Sector {
    uint32_t read = 0, written = 0;
  };

  Announced* announced_with(int thread, uint32_t meetings, uint64_t address, size_t bytes, Access kind);
  void serve_all();
  void serve_global(const std::vector<Part>& parts, Access kind);
  void serve_shared(const std::vector<Part>& parts);

  Counts counts_;
  std::vector<Thread> threads_;
  std::unordered_map<Instruction, uint32_t, Hash> made_;  // how often, by a thread
  std::unordered_map<Request, std::vector<Part>, Hash> waiting_;
  std::unordered_map<uint64_t, Sector> touched_;  // sectors of global memory
};

// The counters of launches, while somebody wants them counted.
class Counting {
 public:
  static Counting& of_launches();

  void start() { wanted_ = true, done_.clear(); }
  std::vector<Counts> take();

  // A launch's first run; of each block, with its shared memory; of the thread that has its turn.
  void begin(const Operation& operation);
  void begin_block(const void* shared);
  void one_access(const void* address, size_t bytes, const void* code);
  void access(const void* address, size_t bytes, Access kind, const void* code);
  void barrier();
  void warp_barrier();
  void end();

 private:
  uint64_t place_of(const void* address) const;

  bool wanted_ = false;
  std::optional<Counter> counter_;
  const char* shared_ = nullptr;
  std::vector<Counts> done_;
};

}  // namespace galvan::sim
