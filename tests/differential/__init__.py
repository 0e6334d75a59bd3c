"""The same scripts against Apache ZooKeeper and against the ensemble, compared line by line."""
