// Turns the files of web/dist into C++: embed OUT.cc FILE... writes each of them plain, with gzip
// -9 and with brotli -11. Runs while building, never at run time.

#include <brotli/encode.h>
#include <openssl/sha.h>
#include <zlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace {

std::string Gzip(const std::string& text) {
  z_stream z{};
  if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) != Z_OK) return "";
  std::string out(deflateBound(&z, text.size()), '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  const int result = deflate(&z, Z_FINISH);
  out.resize(z.total_out);
  deflateEnd(&z);
  return result == Z_STREAM_END ? out : "";
}

std::string Brotli(const std::string& text, bool is_text) {
  size_t size = BrotliEncoderMaxCompressedSize(text.size());
  std::string out(size, '\0');
  const BROTLI_BOOL ok = BrotliEncoderCompress(
      BROTLI_MAX_QUALITY, BROTLI_MAX_WINDOW_BITS, is_text ? BROTLI_MODE_TEXT : BROTLI_MODE_GENERIC,
      text.size(), reinterpret_cast<const uint8_t*>(text.data()), &size,
      reinterpret_cast<uint8_t*>(out.data()));
  out.resize(size);
  return ok == BROTLI_TRUE ? out : "";
}

std::string Sha256(const std::string& text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::string hex;
  for (const unsigned char byte : digest) {
    char two[3];
    std::snprintf(two, sizeof(two), "%02x", byte);
    hex += two;
  }
  return hex;
}

std::string Mime(const std::string& path) {
  static const std::map<std::string, std::string> kTypes = {
      {".css", "text/css; charset=utf-8"},
      {".html", "text/html; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".json", "application/json"},
      {".png", "image/png"},
      {".svg", "image/svg+xml"},
      {".woff2", "font/woff2"},
  };
  const size_t dot = path.rfind('.');
  const auto found = dot == std::string::npos ? kTypes.end() : kTypes.find(path.substr(dot));
  return found == kTypes.end() ? "" : found->second;
}

// As a string literal behind a string_view; octal escapes are of fixed width, so nothing after them
// can be taken for a part of them.
void WriteBytes(std::ostream& out, const std::string& bytes) {
  out << "std::string_view(\"";
  size_t column = 0;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 32 && byte < 127 && c != '"' && c != '\\' && c != '?') {
      out << c;
      ++column;
    } else {
      char escape[5];
      std::snprintf(escape, sizeof(escape), "\\%03o", byte);
      out << escape;
      column += 4;
    }
    if (column >= 2000) {
      out << "\"\n\"";
      column = 0;
    }
  }
  out << "\", " << bytes.size() << ")";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: embed OUT.cc FILE...\n";
    return 2;
  }
  std::map<std::string, std::string> files;
  for (int i = 2; i < argc; ++i) {
    const std::string file = argv[i];
    const size_t at = file.find("dist/");
    if (at == std::string::npos) {
      std::cerr << file << ": not below dist/\n";
      return 1;
    }
    std::ifstream in(file, std::ios::binary);
    files[file.substr(at + 5)] = std::string(std::istreambuf_iterator<char>(in), {});
    if (!in.good() && !in.eof()) {
      std::cerr << file << ": cannot be read\n";
      return 1;
    }
  }
  std::ofstream out(argv[1], std::ios::binary);
  out << "#include \"server/ui/asset.h\"\n\nnamespace vedette::ui {\n\n"
      << "const Asset kAssets[] = {\n";
  for (const auto& [path, text] : files) {
    const std::string mime = Mime(path);
    if (mime.empty()) {
      std::cerr << path << ": no content type is known for this extension\n";
      return 1;
    }
    const bool packs = mime.rfind("font/", 0) != 0 && mime != "image/png";
    std::string gzip = packs ? Gzip(text) : "";
    std::string brotli = packs ? Brotli(text, true) : "";
    if (gzip.size() >= text.size()) gzip.clear();
    if (brotli.size() >= text.size()) brotli.clear();
    out << "{\"" << path << "\", \"" << mime << "\", \"" << Sha256(text) << "\",\n";
    WriteBytes(out, text);
    out << ",\n";
    WriteBytes(out, gzip);
    out << ",\n";
    WriteBytes(out, brotli);
    out << "},\n";
  }
  out << "};\n\nconst size_t kAssetCount = " << files.size()
      << ";\n\n}  // namespace vedette::ui\n";
  out.flush();
  return out.good() ? 0 : 1;
}
