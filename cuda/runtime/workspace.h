// Scratch memory for what is put on a stream: allocated when it is first asked for and kept, so that a captured graph
// may use it, and no other stream writes to it.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>

namespace galvan {

struct Workspace {
  void* data;  // for matrix products
  size_t bytes;
  unsigned* counters;  // kReplicasPerLaunch, 0 between launches: for comes_last (cuda/last_block.h)
};

// Throws Error where the stream has none yet and is being captured: memory cannot be allocated then.
Workspace workspace_of(cudaStream_t stream);
// Frees it, if there is one. For the end of a stream.
void release_workspace(cudaStream_t stream);

}  // namespace galvan
