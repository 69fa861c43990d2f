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
  choose_variant("test-kernel=naive");
  CHECK(host.chosen() == 1);
  CHECK(card.chosen() == 0);
  choose_variant("test-kernel=tiles");
  CHECK(host.chosen() == 1);
  CHECK(card.chosen() == 1);
  choose_variant("test-kernel=best");
  CHECK(host.chosen() == 0);
  CHECK(card.chosen() == 0);
}

TEST_CASE("what there is not is refused with what there is") {
  CHECK_THROWS_WITH_AS(choose_variant("test-kernel=fast"),
                       "test-kernel: there is no 'fast', only best, naive, tiles", Error);
  CHECK_THROWS_WITH_AS(choose_variant("best"), "expected KERNEL=VERSION, such as matmul=naive, got 'best'",
                       Error);
  CHECK_THROWS_WITH_AS(host.choose("tiles"), "test-kernel on cpu: there is no 'tiles', only best, naive",
                       Error);
  CHECK_THROWS_AS(choose_variant("no-kernel=best"), Error);
  CHECK(host.chosen() == 0);
}

TEST_CASE("all versions are listed") {
  const std::vector<Variants*> all = all_variants();
  CHECK(std::find(all.begin(), all.end(), &host) != all.end());
  CHECK(std::find(all.begin(), all.end(), &card) != all.end());
}
