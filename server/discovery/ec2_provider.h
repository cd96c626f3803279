#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/config/discovery.h"
#include "server/discovery/aws_credentials.h"
#include "server/discovery/provider.h"

namespace vedette::discovery {

// ec2_sd: the instances of a region, with Prometheus' __meta_ec2_* labels. Needs
// ec2:DescribeInstances, and ec2:DescribeAvailabilityZones for availability_zone_id (without it
// that label alone is missing).
class Ec2Provider final : public Provider {
 public:
  Ec2Provider(config::Ec2SdConfig config, AwsPorts ports);

  Result<std::vector<TargetGroup>> Refresh(Status& problem) override;
  std::string_view mechanism() const override { return "ec2"; }
  int64_t refresh_interval_ms() const override { return config_.refresh_interval_ms; }

 private:
  Result<std::string> Ask(const std::string& body);
  Result<std::string> AskOnce(const std::string& body, bool& refused);
  void LearnZones();

  const config::Ec2SdConfig config_;
  const AwsPorts ports_;
  AwsCredentials credentials_;
  std::string region_;
  std::map<std::string, std::string> zone_ids_;  // eu-west-1a -> euw1-az3
  bool zones_asked_ = false;
};

}  // namespace vedette::discovery
