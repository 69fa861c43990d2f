#include "models/checkpoint.h"

#include <doctest/doctest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <map>
#include <set>

#include "core/parallel.h"
#include "tests/models/small_model.h"
#include "tests/models/temporary_directory.h"

using namespace galvan;
namespace fs = std::filesystem;

namespace {

void save_step(const fs::path& run, const Transformer& model, const Tokenizer& tokenizer, int64_t step,
               bool is_best) {
  model.parameters()[0].second.detach().fill_(static_cast<double>(step));
  save_checkpoint(run, model, tokenizer,
                  {.step = step, .progress = {{"a", 1}}, .optimizer = {{"m", Tensor::full({3}, step)}}},
                  is_best);
}

}  // namespace

TEST_CASE("current and best, and nothing else, are kept") {
  TemporaryDirectory directory;
  const auto tokenizer = CharacterTokenizer::train("abcdefghijklmnopqrs");
  const Transformer model(small_gpt2());
  const fs::path run = directory.path();
  for (int64_t step : {1, 2, 3, 4}) save_step(run, model, *tokenizer, step, step == 2);
  CHECK(fs::read_symlink(run / "current") == "checkpoints/4");
  CHECK(fs::read_symlink(run / "best") == "checkpoints/2");
  std::set<std::string> kept;
  for (const auto& entry : fs::directory_iterator(run / "checkpoints"))
    kept.insert(entry.path().filename().string());
  CHECK(kept == std::set<std::string>{"2", "4"});
  CHECK(load_training_state(run / "best").step == 2);
  CHECK(resolve_checkpoint(run) == run / "current");

  const fs::path state = run / "checkpoints" / "4" / "training.json";
  write_file_atomically(state, R"({"format_version": 2, "step": 4, "progress": {}})");
  CHECK_THROWS_WITH_AS(load_training_state(run / "checkpoints" / "4"),
                       (state.string() + ": format version 2 is newer than this program's 1").c_str(), Error);
  fs::remove(state);
  CHECK_THROWS_AS(load_training_state(run / "current"), Error);
  CHECK_NOTHROW(load_model(run / "current"));
}

TEST_CASE("a full disk costs the checkpoint that is being saved, and no other") {
  TemporaryDirectory directory;
  const auto tokenizer = CharacterTokenizer::train("abcdefghijklmnopqrs");
  const Transformer model(small_gpt2());
  const fs::path run = directory.path(), kept = run / "checkpoints" / "1";
  save_step(run, model, *tokenizer, 1, true);
  std::map<std::string, std::string> before;
  for (const auto& entry : fs::directory_iterator(kept))
    before[entry.path().filename()] = read_text_file(entry.path());

  signal(SIGXFSZ, SIG_IGN);  // or the limit would end the process
  rlimit unlimited;
  REQUIRE(getrlimit(RLIMIT_FSIZE, &unlimited) == 0);
  for (const char* file : {"model.safetensors", "config.json", "tokenizer.json", "training.json"}) {
    const rlimit limit{before.at(file).size() - 1, unlimited.rlim_max};
    REQUIRE(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    std::string message;
    try {
      save_step(run, model, *tokenizer, 2, true);
    } catch (const Error& error) {
      message = error.what();
    }
    REQUIRE(setrlimit(RLIMIT_FSIZE, &unlimited) == 0);
    CHECK(message.starts_with("cannot write " + (run / "checkpoints" / ".2.partial").string() + "/"));
    CHECK(message.ends_with(": File too large"));
    CHECK(fs::read_symlink(run / "current") == "checkpoints/1");
    CHECK(fs::read_symlink(run / "best") == "checkpoints/1");
    for (const auto& entry : fs::directory_iterator(run / "checkpoints"))
      CHECK_MESSAGE(entry.path() == kept, entry.path().string());
    for (const auto& old : before) CHECK_MESSAGE(read_text_file(kept / old.first) == old.second, old.first);
  }
  signal(SIGXFSZ, SIG_DFL);
  save_step(run, model, *tokenizer, 2, false);
  CHECK(load_training_state(run / "current").step == 2);
}

TEST_CASE("a lost link to the last checkpoint is found again") {
  TemporaryDirectory directory;
  const auto tokenizer = CharacterTokenizer::train("abcdefghijklmnopqrs");
  const Transformer model(small_gpt2());
  const fs::path run = directory.path();
  restore_current(run);
  CHECK(!fs::exists(fs::symlink_status(run / "current")));  // nothing to point to
  save_step(run, model, *tokenizer, 9, true);
  save_step(run, model, *tokenizer, 10, false);
  fs::create_directory(run / "checkpoints" / ".11.partial");
  restore_current(run);
  CHECK(fs::read_symlink(run / "current") == "checkpoints/10");
  fs::remove(run / "current");
  restore_current(run);
  CHECK(fs::read_symlink(run / "current") == "checkpoints/10");
}

TEST_CASE("a kill at any moment leaves a whole checkpoint") {
  TemporaryDirectory directory;
  const auto tokenizer = CharacterTokenizer::train("abcdefghijklmnopqrs");
  const Transformer model(small_gpt2());
  const int before = threads();
  set_threads(1);  // a forked process has no other
  int64_t step = 1;
  const auto start = std::chrono::steady_clock::now();
  save_step(directory.path(), model, *tokenizer, step, true);
  const std::chrono::duration<double, std::micro> one_save = std::chrono::steady_clock::now() - start;
  for (uint32_t i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      for (;;) ++step, save_step(directory.path(), model, *tokenizer, step, step % 3 == 0);
    }
    usleep(static_cast<useconds_t>(one_save.count() * (golden_bits(i, 1) % 400) / 100));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    for (const char* link : {"current", "best"}) {
      const TrainingState state = load_training_state(directory.path() / link);
      CHECK(load_model(directory.path() / link).model->parameters()[0].second.to_vector()[0] ==
            static_cast<double>(state.step));
      CHECK(state.optimizer.at(0).second.to_vector()[0] == static_cast<double>(state.step));
      if (std::string(link) == "current") step = state.step;
    }
  }
  CHECK(step > 1);
  set_threads(before);
}
