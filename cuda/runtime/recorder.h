// What would be put on the stream, kept as a list instead: so that one training step of each of several replicas can be
// put there together, operation by operation, each one launch for all of them (cuda/replicas.h, core/replay.h).
//
//   RecordedStep step;
//   {
//     const Recorder recorder(step);
//     forward(); backward(); update();   // nothing of it runs
//   }
//   enqueue({{&step}}, stream);          // all of it is on the stream
//
// launch() and cublas_matmul() know of it. Nothing else may be asked of the card meanwhile.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

namespace galvan {

// Replicas that one launch has room for; of more, it takes several.
inline constexpr int kReplicasPerLaunch = 32;

// A launch or a matrix product.
class RecordedOperation {
 public:
  virtual ~RecordedOperation() = default;
  // Whether it differs from `other` in addresses and other numbers alone, not in what is launched.
  virtual bool matches(const RecordedOperation& other) const = 0;
  // Puts the operation on the stream for several replicas; all match this one, the first of them.
  virtual void enqueue(std::span<const RecordedOperation* const> replicas, cudaStream_t stream) const = 0;
};

// A launch, with its arguments as bytes.
class RecordedLaunch final : public RecordedOperation {
 public:
  // Puts launches on the stream that differ in their arguments alone. Each kernel has a function of its own.
  using Enqueue = void (*)(std::span<const RecordedOperation* const> replicas, cudaStream_t stream);

  RecordedLaunch(Enqueue enqueue, dim3 grid, dim3 block, size_t shared_bytes, const void* arguments,
                 size_t bytes);

  bool matches(const RecordedOperation& other) const override;
  void enqueue(std::span<const RecordedOperation* const> replicas, cudaStream_t stream) const override {
    enqueue_(replicas, stream);
  }

  const dim3 grid, block;
  const size_t shared_bytes;
  const void* arguments() const { return arguments_.data(); }

 private:
  Enqueue enqueue_;
  std::vector<std::byte> arguments_;
};

using RecordedStep = std::vector<std::unique_ptr<RecordedOperation>>;

// Whether the steps consist of operations that match, one by one.
bool match(const RecordedStep& a, const RecordedStep& b);

// Puts steps that match on the stream together.
void enqueue(std::span<const RecordedStep* const> replicas, cudaStream_t stream);

// While one lives, what the thread would put on the stream is added to the step.
class Recorder {
 public:
  explicit Recorder(RecordedStep& step);
  ~Recorder();
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  // The step that the thread records; null: none.
  static RecordedStep* current();

 private:
  RecordedStep* before_;
};

// While one lives, what the thread puts on the stream, or records, is a replica's. Replicas fill a card together: the kernel
// that leaves most of it to others is the faster one there, not the one that is done first.
class AsReplica {
 public:
  AsReplica();
  ~AsReplica();
  AsReplica(const AsReplica&) = delete;
  AsReplica& operator=(const AsReplica&) = delete;

  static bool current();

 private:
  bool before_;
};

}  // namespace galvan
