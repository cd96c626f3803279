#include "common/profile/cpu_profile.h"

#include <gtest/gtest.h>
#include <time.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "common/compress/compress.h"

namespace vedette::profile {
namespace {

int64_t CpuMs() {
  timespec t{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

TEST(ProfileCpu, HasStacksOfWhatRan) {
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> work{0};
  std::thread busy([&] {
    while (!stop.load()) work.fetch_add(1);
  });
  // Stacks come with CPU time, of which there is little on a machine that does other things too.
  const int64_t began_ms = CpuMs();
  const Result<std::string> profile =
      ProfileCpu(3'600'000, [&] { return CpuMs() - began_ms > 500; });
  stop = true;
  busy.join();
  ASSERT_TRUE(profile.ok()) << profile.status().ToString();
  std::string plain;
  ASSERT_TRUE(compress::Decompress(compress::Encoding::kGzip, *profile, 64 << 20, plain).ok());
  EXPECT_NE(plain.find("nanoseconds"), std::string::npos);
  EXPECT_NE(plain.find("cpu_profile_test"), std::string::npos);  // A mapping of this program.
  size_t samples = 0;
  // Field 2, length-delimited, at the top: after the two value types.
  for (size_t at = 0; at + 1 < plain.size();) {
    const auto tag = static_cast<uint8_t>(plain[at++]);
    uint64_t v = 0;
    for (int shift = 0; at < plain.size(); shift += 7) {
      const auto b = static_cast<uint8_t>(plain[at++]);
      v |= uint64_t{b & 0x7fu} << shift;
      if (b < 0x80) break;
    }
    if ((tag & 7) == 2) at += v;
    samples += tag == (2 << 3 | 2) ? 1 : 0;
  }
  EXPECT_GT(samples, 0u) << "no stack although a thread was busy all the time";
}

TEST(ProfileCpu, EndsWhenItIsCancelledAndIsTakenOnceAtATime) {
  std::atomic<bool> cancel{false};
  std::atomic<bool> began{false};
  std::thread first([&] {
    EXPECT_TRUE(ProfileCpu(3'600'000, [&] {
                  began = true;
                  return cancel.load();
                }).ok());
  });
  while (!began) std::this_thread::yield();
  EXPECT_EQ(ProfileCpu(1, [] { return false; }).status().code(), StatusCode::kResourceExhausted);
  cancel = true;
  first.join();
}

}  // namespace
}  // namespace vedette::profile
