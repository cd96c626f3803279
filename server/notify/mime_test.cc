#include "server/notify/mime.h"

#include <gtest/gtest.h>

#include "common/base/strings.h"

namespace vedette::notify {
namespace {

TEST(Mime, AddressesWithoutTheirNames) {
  EXPECT_EQ(*ParseAddresses("Ops <ops@x.org>, dev@x.org"),
            (std::vector<std::string>{"ops@x.org", "dev@x.org"}));
  for (const char* bad : {"", "ops", "@x", "a b@x", "<a@b", "a@", "a@b\r\nRCPT TO:<c@d>"}) {
    EXPECT_FALSE(ParseAddresses(bad).ok()) << bad;
  }
}

TEST(Mime, HeadersCannotBeInjected) {
  const std::string mail = WriteMime(
      {.headers = {{"Subject", "down\r\nBcc: all@x.org"}, {"To", "a@x.org"}}, .text = "hi"});
  EXPECT_TRUE(mail.starts_with("Subject: down  Bcc: all@x.org\r\nTo: a@x.org\r\n")) << mail;
}

TEST(Mime, WordsThatAreNotAsciiAreEncoded) {
  EXPECT_EQ(EncodeHeader("plain [1]"), "plain [1]");
  EXPECT_EQ(EncodeHeader("hei\xc3\x9f er"), "=?UTF-8?q?hei=C3=9F_er?=");
  std::string sharp;
  for (int i = 0; i < 40; ++i) sharp += "\xc3\x9f";
  for (const std::string_view line : Split(EncodeHeader(sharp), '\n')) {
    EXPECT_LE(line.size(), 77u);
  }
}

TEST(Mime, QuotedPrintableKeepsLinesShortAndEndsWhole) {
  EXPECT_EQ(QuotedPrintable("a=b \n\xc3\x9f"), "a=3Db=20\r\n=C3=9F");
  for (const std::string_view line : Split(QuotedPrintable(std::string(500, '=')), '\n')) {
    EXPECT_LE(line.size(), 77u);
  }
}

TEST(Mime, TwoFormsOfOneText) {
  const std::string mail = WriteMime(
      {.headers = {{"Subject", "s"}}, .text = "plain", .html = "<b>rich</b>", .boundary = "xyz"});
  EXPECT_EQ(mail,
            "Subject: s\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: multipart/alternative; boundary=\"xyz\"\r\n\r\n"
            "--xyz\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n"
            "Content-Type: text/plain; charset=UTF-8\r\n\r\nplain\r\n"
            "--xyz\r\n"
            "Content-Transfer-Encoding: quoted-printable\r\n"
            "Content-Type: text/html; charset=UTF-8\r\n\r\n<b>rich</b>\r\n"
            "--xyz--\r\n");
}

TEST(Mime, DatesAsMailHasThem) {
  EXPECT_EQ(MailDate(1'700'000'000'000), "Tue, 14 Nov 2023 22:13:20 +0000");
}

}  // namespace
}  // namespace vedette::notify
