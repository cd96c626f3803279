#include "common/profile/cpu_profile.h"

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

#include "common/compress/compress.h"

namespace vedette::profile {
namespace {

TEST(ProfileCpu, HasStacksOfWhatRan) {
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> work{0};
  std::thread busy([&] {
    while (!stop.load()) work.fetch_add(1);
  });
  // As long as it takes on a machine that does other things too: stacks come with CPU time.
  size_t bytes = 0;
  for (int i = 0; i < 50 && bytes < 400; ++i) {
    const Result<std::string> profile = ProfileCpu(200, [] { return false; });
    ASSERT_TRUE(profile.ok()) << profile.status().ToString();
    std::string plain;
    ASSERT_TRUE(
        compress::Decompress(compress::Encoding::kGzip, *profile, 64 << 20, plain).ok());
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
    if (samples > 0) bytes = 400;
  }
  stop = true;
  busy.join();
  EXPECT_EQ(bytes, 400u) << "no stack although a thread was busy all the time";
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
