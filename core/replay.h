// A sequence of kernels that a loop runs again and again, such as a training step: put together by the host once, and
// from then on replayed by the device alone.
//
//   Replay step(device);
//   for (...) step.run([&] { forward(); backward(); update(); });    // or so many times at once
//
// On the CPU, and with `record` false, every run calls the body. On a card the first run calls it, so that memory is
// there and algorithms are chosen; the second records what it puts on the stream as a CUDA graph (the body runs on
// the host, the kernels wait), and each run from then on, this one too, launches the graph. So the body must put the
// same kernels with the same arguments on the stream each time, must not wait for the device, and reads what changes
// (a step's number, its learning rate) from the device's memory.
//
// Memory that the body takes comes from a pool of its own, which nobody else is given while the Replay lives: a
// replayed kernel finds its tensors where they were. What the body leaves to be read later must have been made
// outside.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/allocator.h"
#include "core/replica_memory.h"

namespace galvan {

class Replay {
 public:
  explicit Replay(Device device, bool record = true);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  // So many times. In a member of a ReplayGroup: together with what others run.
  void run(const std::function<void()>& body, int64_t times = 1);

  // The kernels of one replay by name, its copies and fills ("copy", "fill"); none before there is a recording, and
  // where nothing is recorded.
  std::vector<std::string> operations() const;

 private:
  friend class ReplayGroup;
  struct Recording;

  Device device_;
  [[maybe_unused]] bool record_;
  [[maybe_unused]] bool has_run_ = false;
  MemoryPool pool_;
  std::unique_ptr<Recording> recording_;
};

// Models of a card that are trained together, each by a thread of its own as if it were alone: what all of them have come
// to replay is put on the card as one graph, in which the kernels that are alike are one launch for all
// (cuda/replicas.h), and so are matrix products.
//
//   ReplayGroup group(kCuda, 8);
//   std::thread([&] {
//     const ReplayGroup::Member member(group);
//     make_model();
//     while (...) { step.run(body, 20); look_at_the_loss(); }
//   });
//
// One member is at work at a time; run() waits until every other is in run() too, or has left. Then those whose recordings
// match are replayed together, as often as all of them still want, and whoever has had its share goes on. Members use memory
// of the group (core/replica_memory.h) while there is a place; those who come when there is none are slower.
class ReplayGroup {
 public:
  // Places for so many members.
  ReplayGroup(Device device, int64_t places);
  ~ReplayGroup();
  ReplayGroup(const ReplayGroup&) = delete;
  ReplayGroup& operator=(const ReplayGroup&) = delete;

  class Member {
   public:
    explicit Member(ReplayGroup& group);
    ~Member();
    Member(const Member&) = delete;
    Member& operator=(const Member&) = delete;

   private:
    friend class ReplayGroup;
    friend class Replay;

    void run(Replay& replay, const std::function<void()>& body, int64_t times);
    void take_turn(std::unique_lock<std::mutex>& lock);
    void end_turn();

    ReplayGroup& group_;
    int64_t place_ = -1;                          // in the group's memory; -1: none
    std::unique_ptr<ReplicaMemory::Use> memory_;  // while it is at work
    Replay* replay_ = nullptr;                    // what it waits for
    [[maybe_unused]] int64_t times_ = 0;
    [[maybe_unused]] std::exception_ptr error_;
  };

  // The kernels of the graph that was replayed last (Replay::operations).
  std::vector<std::string> operations() const;

 private:
  struct Joint;

  void replay_all();
  void replay_together(const std::vector<Member*>& members);

  [[maybe_unused]] Device device_;
  ReplicaMemory memory_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Member*> members_;  // by place, then by age
  Member* at_work_ = nullptr;
  std::vector<std::unique_ptr<Joint>> joints_;  // graphs of several recordings, the last one used behind
};

}  // namespace galvan
