// What the checker knows about each byte of a range of memory: a state, and the last accesses.
#pragma once

#include <cstddef>
#include <cstdint>

namespace galvan::sim {

// One access by a kernel's thread; or a copy's or fill's, as thread 0 of block 0.
struct Record {
  uint32_t operation;  // its number among all that the checker has seen; 0: no access
  uint32_t block;      // linear, in the grid
  uint16_t thread;     // linear, in the block
  bool atomic;
  bool several;  // atomic operations of more than one thread, this being the last
  uint32_t block_epoch, warp_epoch;
  uint32_t code;  // where in the program, as a distance from its begin; 0: unknown
};
// The block of atomic operations that several blocks have made.
inline constexpr uint32_t kSeveralBlocks = 0xffffffff;

// The last write; and two reads, which is enough: of reads by more threads, two that lie far apart are kept, and
// a write that nothing orders after all reads is not ordered after one of those.
struct History {
  Record write;
  Record reads[2];
  bool split;  // of a word: its bytes have histories of their own
};

// Memory that is zero and takes no room until it is written.
class LazyPages {
 public:
  explicit LazyPages(size_t bytes);
  ~LazyPages();
  LazyPages(const LazyPages&) = delete;
  LazyPages& operator=(const LazyPages&) = delete;

  void* data() const { return data_; }
  // Zero again, and without room where whole pages are.
  void clear(size_t offset, size_t bytes);

 private:
  void* data_;
  size_t bytes_;
};

class Shadow {
 public:
  enum State : uint8_t { allocated = 1, written = 2, in_flight = 4 };

  explicit Shadow(size_t bytes);

  uint8_t* states() const { return static_cast<uint8_t*>(states_.data()); }

  // update(history, offset) for every piece of [offset, offset + bytes): four bytes have one history until
  // somebody accesses a part of them.
  template <class F>
  void each(size_t offset, size_t bytes, const F& update) {
    for (const size_t end = offset + bytes; offset < end;) {
      History& word = words()[offset / kWord];
      if (!word.split && offset % kWord == 0 && end - offset >= kWord) {
        update(word, offset);
        offset += kWord;
        continue;
      }
      History* const parts = bytes_of(offset);
      if (!word.split) {
        for (size_t i = 0; i < kWord; ++i) parts[i] = word;
        word.split = true;
      }
      update(parts[offset % kWord], offset);
      ++offset;
    }
  }
  void forget_histories(size_t offset, size_t bytes);

 private:
  static constexpr size_t kWord = 4;
  History* words() const { return static_cast<History*>(words_.data()); }
  History* bytes_of(size_t offset) const {
    return static_cast<History*>(bytes_.data()) + offset / kWord * kWord;
  }

  LazyPages states_, words_, bytes_;
};

}  // namespace galvan::sim
