"""The benchmark beside Apache ZooKeeper."""
