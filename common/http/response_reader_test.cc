#include "common/http/response_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

namespace vedette::http {
namespace {

// Hands `bytes` over in pieces and closes at their end.
Status Read(ResponseReader& reader, std::string_view bytes, size_t piece, size_t limit = 1 << 20,
            std::string buffer = "what was there before") {
  reader.Start(limit, std::move(buffer));
  while (!reader.done()) {
    if (bytes.empty()) {
      VEDETTE_RETURN_IF_ERROR(reader.Closed());
      continue;
    }
    const std::span<char> space = reader.Space();
    const size_t n = std::min({space.size(), bytes.size(), piece});
    std::memcpy(space.data(), bytes.data(), n);
    bytes.remove_prefix(n);
    VEDETTE_RETURN_IF_ERROR(reader.Filled(n));
  }
  return {};
}

TEST(ResponseReader, EveryWayToSayHowLongABodyIs) {
  struct Case {
    std::string_view bytes;
    int status;
    std::string_view body;
    bool reusable;
  };
  const std::string long_body(100'000, 'x');
  const std::string long_answer =
      "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long_body;
  const Case cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", true},
      {"HTTP/1.1 200 OK\r\ncontent-length:2\r\nConnection: Close\r\n\r\nhi", 200, "hi", false},
      {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi", false},
      {"HTTP/1.1 200\nContent-Length: 2\n\nhi", 200, "hi", true},
      {"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", 503, "", true},
      {"HTTP/1.1 204 No Content\r\n\r\n", 204, "", true},
      {"HTTP/1.1 200 OK\r\n\r\nto the end", 200, "to the end", false},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n"
       "0\r\nTrailer: x\r\n\r\n",
       200, "abc0123456789", true},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "hi",
       true},
      {long_answer, 200, long_body, true},
  };
  for (const Case& c : cases) {
    for (size_t piece : {size_t{1}, size_t{7}, size_t{1 << 20}}) {
      SCOPED_TRACE(std::string(c.bytes.substr(0, 80)));
      ResponseReader reader;
      const Status status = Read(reader, c.bytes, piece);
      ASSERT_TRUE(status.ok()) << status.ToString();
      EXPECT_EQ(reader.status(), c.status);
      EXPECT_EQ(reader.reusable(), c.reusable);
      EXPECT_EQ(reader.TakeBody(), c.body);
    }
  }
}

TEST(ResponseReader, AReaderStartsAgain) {
  ResponseReader reader;
  for (std::string_view text : {"first", "2nd", "the third"}) {
    const std::string answer =
        "HTTP/1.1 200 OK\r\nX: " + std::string(text) +
        "\r\nContent-Length: " + std::to_string(text.size()) + "\r\n\r\n" + std::string(text);
    ASSERT_TRUE(Read(reader, answer, 5, 100, reader.TakeBody()).ok());
    EXPECT_EQ(reader.TakeHeaders().Get("x"), text);
    EXPECT_EQ(reader.TakeBody(), text);
  }
}

TEST(ResponseReader, NothingBeyondTheLimitIsTaken) {
  for (std::string_view bytes :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", "HTTP/1.1 200 OK\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n"}) {
    SCOPED_TRACE(std::string(bytes));
    ResponseReader reader;
    EXPECT_EQ(Read(reader, bytes, 3, 4).code(), StatusCode::kResourceExhausted);
  }
  ResponseReader reader;
  EXPECT_TRUE(Read(reader, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345", 3, 5).ok());
}

TEST(ResponseReader, WhatIsNoAnswerIsRefused) {
  const std::string endless = "HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x');
  for (std::string_view bytes :
       {std::string_view("SSH-2.0-OpenSSH_9.2\r\n\r\n"), std::string_view("HTTP/1.1 OK\r\n\r\n"),
        std::string_view("HTTP/2 200 OK\r\n\r\n"),
        std::string_view("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        std::string_view("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
        std::string_view("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        std::string_view("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
        std::string_view("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"),
        std::string_view("HTTP/1.1 200 OK\r\nno colon\r\n\r\n"), std::string_view(endless)}) {
    SCOPED_TRACE(std::string(bytes.substr(0, 60)));
    ResponseReader reader;
    EXPECT_EQ(Read(reader, bytes, 1000).code(), StatusCode::kInvalidArgument);
  }
}

TEST(ResponseReader, EveryTruncationIsToldFromAnEnd) {
  for (std::string_view bytes :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12345",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n"}) {
    for (size_t n = 0; n < bytes.size(); ++n) {
      ResponseReader reader;
      EXPECT_EQ(Read(reader, bytes.substr(0, n), 4).code(), StatusCode::kUnavailable) << n;
      EXPECT_EQ(reader.begun(), n > 0);
    }
  }
}

TEST(ResponseReader, BytesAfterTheAnswerEndTheConnection) {
  ResponseReader reader;
  ASSERT_TRUE(Read(reader, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more", 1000).ok());
  EXPECT_FALSE(reader.reusable());
  EXPECT_EQ(reader.TakeBody(), "hi");
}

}  // namespace
}  // namespace vedette::http
