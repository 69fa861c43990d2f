#include "core/replica_memory.h"

#include <algorithm>
#include <utility>

#include "core/check.h"

namespace galvan {

// Blocks of one size come in rows, one block for each replica: a replica's n-th block of that size is in the n-th row.
class ReplicaMemory::Region final : public MemoryRegion {
 public:
  explicit Region(int64_t replicas) : places_(static_cast<size_t>(replicas)) {}

  void set_replica(int64_t replica) { replica_ = static_cast<size_t>(replica); }

  void* allocate(int64_t bytes, const std::function<void*(int64_t)>& source) override {
    Place& place = places_[replica_];
    std::vector<void*>& freed = place.freed[bytes];
    void* block = nullptr;
    if (!freed.empty()) {
      block = freed.back();
      freed.pop_back();
    } else {
      std::vector<char*>& rows = rows_[bytes];
      int64_t& taken = place.taken[bytes];
      if (static_cast<size_t>(taken) == rows.size()) {
        const int64_t whole = bytes * static_cast<int64_t>(places_.size());
        char* const row = static_cast<char*>(source(whole));
        if (!row) return nullptr;
        rows.push_back(row);
        wholes_[row] = whole;
      }
      block = rows[static_cast<size_t>(taken++)] + bytes * static_cast<int64_t>(replica_);
    }
    ++place.in_use;
    return block;
  }

  void free(void* block, int64_t bytes) override {
    char* const at = static_cast<char*>(block);
    Place& place = places_[static_cast<size_t>((at - std::prev(wholes_.upper_bound(at))->first) / bytes)];
    place.freed[bytes].push_back(block);
    if (--place.in_use == 0) place = Place{};
  }

  bool is_empty() const override {
    return std::all_of(places_.begin(), places_.end(), [](const Place& place) { return place.in_use == 0; });
  }
  const std::map<char*, int64_t>& wholes() const override { return wholes_; }

 private:
  struct Place {
    FreeBlocks freed = {};
    std::unordered_map<int64_t, int64_t> taken = {};  // rows, by size
    int64_t in_use = 0;
  };

  std::vector<Place> places_;  // by replica
  size_t replica_ = 0;         // whose turn it is
  std::unordered_map<int64_t, std::vector<char*>> rows_;
  std::map<char*, int64_t> wholes_;
};

ReplicaMemory::ReplicaMemory(Device device, int64_t replicas)
    : device_(device), replicas_(replicas), region_(std::make_shared<Region>(replicas)) {
  check(replicas > 0, "replicas: there is room for ", replicas);
}

ReplicaMemory::~ReplicaMemory() { allocator_of(device_).retire(region_); }

ReplicaMemory::Use::Use(ReplicaMemory& memory, int64_t replica) : memory_(memory) {
  check(replica >= 0 && replica < memory.replicas_, "replicas: there are ", memory.replicas_, ", not one ",
        replica);
  memory.region_->set_replica(replica);
  before_ = allocator_of(memory.device_).use(memory.region_);
}

ReplicaMemory::Use::~Use() { allocator_of(memory_.device_).use(std::move(before_)); }

}  // namespace galvan
