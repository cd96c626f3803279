#include <dlfcn.h>
#include <gtest/gtest.h>
#include <rocksdb/status.h>

#include <cstdint>
#include <random>
#include <string>

// RocksDB has no header of it that is installed.
namespace rocksdb::crc32c {
uint32_t Extend(uint32_t before, const char* data, size_t n);
}  // namespace rocksdb::crc32c

namespace vedette::tsdb {
namespace {

uint32_t BitByBit(uint32_t before, const std::string& bytes) {
  uint32_t crc = ~before;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
  }
  return ~crc;
}

uint32_t Crc(uint32_t before, const std::string& bytes) {
  return rocksdb::crc32c::Extend(before, bytes.data(), bytes.size());
}

TEST(Crc32c, IsThatOfTheStandard) {
  // RFC 3720, B.4.
  EXPECT_EQ(Crc(0, std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(Crc(0, std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(Crc(0, "123456789"), 0xe3069283u);
}

TEST(Crc32c, EveryLengthAndBeginningAgreesWithTheDefinition) {
  std::mt19937_64 random(1);
  std::string bytes(300, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  for (size_t begin = 0; begin < 9; ++begin) {
    for (size_t length = 0; length + begin <= bytes.size(); ++length) {
      const std::string part = bytes.substr(begin, length);
      ASSERT_EQ(rocksdb::crc32c::Extend(7, bytes.data() + begin, length), BitByBit(7, part))
          << begin << " " << length;
    }
  }
  const std::string first = bytes.substr(0, 101);
  EXPECT_EQ(Crc(Crc(0, first), bytes.substr(101)), Crc(0, bytes));
}

// The library finds the program's function, and not its own.
TEST(Crc32c, IsTheOneThatRocksDbCalls) {
#if defined(__x86_64__)
  ASSERT_EQ(rocksdb::Status::OK().ToString(), "OK");  // It is linked.
  void* const found = dlsym(RTLD_DEFAULT, "_ZN7rocksdb6crc32c6ExtendEjPKcm");
  ASSERT_NE(found, nullptr);
  Dl_info where{};
  ASSERT_NE(dladdr(found, &where), 0);
  EXPECT_EQ(std::string(where.dli_fname).find("librocksdb"), std::string::npos) << where.dli_fname;
#endif
}

}  // namespace
}  // namespace vedette::tsdb
