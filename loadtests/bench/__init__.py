"""The benchmark beside Apache ZooKeeper: the same work on both, as ratios."""
