#include "agent/container/cri.h"

#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "common/base/status.h"
#include "proto/interop/cri.grpc.pb.h"

namespace vedette::agent {
namespace {

namespace cri = runtime::v1;

// Says what containerd says on a node with one pod, as the runtime's own client shows it.
class Node final : public cri::RuntimeService::Service {
 public:
  grpc::Status ListContainers(grpc::ServerContext*, const cri::ListContainersRequest*,
                              cri::ListContainersResponse* response) override {
    ++asked;
    cri::Container* c = response->add_containers();
    c->set_id(std::string(64, 'a'));
    c->set_pod_sandbox_id(std::string(64, 'b'));
    c->mutable_metadata()->set_name("shop");
    c->mutable_image()->set_image("registry.example/shop:7");
    c->set_state(cri::CONTAINER_RUNNING);
    c->set_created_at(1'700'000'000'500'000'000);
    (*c->mutable_labels())["io.kubernetes.pod.name"] = "shop-0";
    cri::Container* gone = response->add_containers();
    gone->set_id(std::string(64, 'c'));
    gone->mutable_metadata()->set_name("migrate");
    gone->set_state(cri::CONTAINER_EXITED);
    return grpc::Status::OK;
  }
  grpc::Status ListPodSandbox(grpc::ServerContext*, const cri::ListPodSandboxRequest*,
                              cri::ListPodSandboxResponse* response) override {
    cri::PodSandbox* p = response->add_items();
    p->set_id(std::string(64, 'b'));
    p->set_state(cri::SANDBOX_READY);
    (*p->mutable_labels())["io.kubernetes.pod.namespace"] = "default";
    return grpc::Status::OK;
  }
  int asked = 0;
};

// A socket's path has 107 bytes, fewer than a test's own directory may have.
class SocketFolder {
 public:
  SocketFolder() {
    char folder[] = "/tmp/vedette-cri-XXXXXX";
    if (mkdtemp(folder) != nullptr) path_ = folder;
  }
  ~SocketFolder() { std::filesystem::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/nowhere";
};

TEST(Cri, ContainersAndPodsHaveTheNamesOfTheRuntime) {
  const SocketFolder dir;
  const std::string socket = dir.path() + "/s";
  Node node;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix://" + socket, grpc::InsecureServerCredentials());
  builder.RegisterService(&node);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);

  const ContainerList list = CriContainers(socket, 10'000, 60'000);
  const auto found = list();
  ASSERT_TRUE(found.ok()) << found.status().ToString();
  ASSERT_EQ(found->size(), 3u);
  const ContainerInfo& shop = (*found)[0];
  EXPECT_EQ(shop.id, std::string(64, 'a'));
  EXPECT_EQ(shop.name, "shop");
  EXPECT_EQ(shop.image, "registry.example/shop:7");
  EXPECT_TRUE(shop.running);
  EXPECT_EQ(shop.created_seconds, 1'700'000'000.5);
  EXPECT_EQ(shop.labels.at("io.kubernetes.pod.name"), "shop-0");
  EXPECT_EQ((*found)[1].name, "migrate");
  EXPECT_FALSE((*found)[1].running);
  EXPECT_EQ((*found)[2].name, "POD");
  EXPECT_EQ((*found)[2].labels.at("io.kubernetes.pod.namespace"), "default");
  // Asked again within its age it is not bothered.
  ASSERT_TRUE(list().ok());
  EXPECT_EQ(node.asked, 1);
  server->Shutdown();
}

TEST(Cri, WhatIsInTheWayIsSaid) {
  const SocketFolder dir;
  EXPECT_EQ(CriContainers(dir.path() + "/none")().status().code(), StatusCode::kNotFound);
  // A runtime without the service, as Docker's own containerd.
  const std::string socket = dir.path() + "/s";
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix://" + socket, grpc::InsecureServerCredentials());
  cri::RuntimeService::Service unimplemented;
  builder.RegisterService(&unimplemented);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  ASSERT_NE(server, nullptr);
  const auto found = CriContainers(socket, 10'000)();
  EXPECT_EQ(found.status().code(), StatusCode::kNotFound) << found.status().ToString();
  EXPECT_NE(found.status().message().find("does not speak CRI"), std::string_view::npos);
  server->Shutdown();
}

}  // namespace
}  // namespace vedette::agent
