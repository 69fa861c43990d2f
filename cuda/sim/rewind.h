// Runs of one kernel from the same contents of memory, and whether they leave the same.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace galvan::sim {

class Rewind {
 public:
  // Of memory, and of the states (cuda/sim/shadow.h) of its bytes.
  Rewind(char* memory, uint8_t* states, size_t bytes);

  // Before the first run.
  void begin();
  // Before something is written.
  void will_write(size_t offset, size_t bytes);
  // After a run: where it has left other bytes than the first; null: nowhere.
  const char* difference() const;
  // After a run, before the next: everything is again as it was before the first.
  void back_to_the_start();

 private:
  static constexpr size_t kPage = 1024;
  struct Page {
    size_t number;
    bool later;  // first written in a later run
    char before[kPage], after[kPage];
    uint8_t states[kPage];
  };
  char* at(const Page& page) const { return memory_ + page.number * kPage; }

  char* memory_;
  uint8_t* states_;
  std::vector<uint32_t> kept_in_;  // in which launch the page was last written
  uint32_t launch_ = 0;
  bool first_run_ = true;
  std::vector<std::unique_ptr<Page>> pages_;
};

}  // namespace galvan::sim
