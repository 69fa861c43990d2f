#include "core/variants.h"

#include <doctest/doctest.h>

#include <algorithm>

#include "core/check.h"

using namespace galvan;

namespace {

Variants host("test-kernel", "cpu", {{"best", "a.cpp"}, {"naive", "b.cpp"}});
Variants card("test-kernel", "cuda", {{"best", "a.cu"}, {"tiles", "b.cu"}});

}  // namespace

TEST_CASE("a version is chosen by name, on each device that has it") {
  CHECK(host.chosen() == 0);
  choose_variants("test-kernel=naive");
  CHECK(host.chosen() == 1);
  CHECK(card.chosen() == 0);
  choose_variants("test-kernel=tiles");
  CHECK(host.chosen() == 1);
  CHECK(card.chosen() == 1);
  choose_variants("test-kernel=best");
  CHECK(host.chosen() == 0);
  CHECK(card.chosen() == 0);
  choose_variants("");
  choose_variants("test-kernel=naive,test-kernel=tiles");
  CHECK(host.chosen() == 1);
  CHECK(card.chosen() == 1);
  choose_variants("test-kernel=best", "cuda");
  CHECK(host.chosen() == 1);
  CHECK(card.chosen() == 0);
  choose_variants("test-kernel=best");
}

TEST_CASE("what there is not is refused with what there is") {
  CHECK_THROWS_WITH_AS(choose_variants("test-kernel=fast"),
                       "test-kernel: there is no 'fast', only best, naive, tiles", Error);
  CHECK_THROWS_WITH_AS(choose_variants("best"), "expected KERNEL=VERSION, such as matmul=naive, got 'best'",
                       Error);
  CHECK_THROWS_WITH_AS(host.choose("tiles"), "test-kernel on cpu: there is no 'tiles', only best, naive",
                       Error);
  CHECK_THROWS_WITH_AS(choose_variants("test-kernel=tiles", "cpu"),
                       "test-kernel: there is no 'tiles' on cpu, only best, naive", Error);
  CHECK_THROWS_AS(choose_variants("test-kernel=naive,no-kernel=best"), Error);
  CHECK_THROWS_AS(choose_variants("test-kernel=naive,,"), Error);
  CHECK(host.chosen() == 0);
}

TEST_CASE("all versions are listed") {
  const std::vector<Variants*> all = all_variants();
  CHECK(std::find(all.begin(), all.end(), &host) != all.end());
  CHECK(std::find(all.begin(), all.end(), &card) != all.end());
}
