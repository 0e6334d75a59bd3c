// What Curator does for its users, done by hand with Apache's own client: a lock, a leader latch, a
// cache told of changes by a persistent recursive watch, and transactions, while members are killed
// underneath. Any call may lose its connection after it took effect; what is done then is the recipe.
//
// Apache's WriteLock does not survive that: it finds its znode again by the bare name, compares that
// with whole paths, and waits for ever for a lock that it holds.

import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.zookeeper.*;
import org.apache.zookeeper.data.Stat;

public class Recipes {
    interface Call<T> { T call() throws Exception; }

    static final List<org.apache.zookeeper.data.ACL> OPEN = ZooDefs.Ids.OPEN_ACL_UNSAFE;

    static <T> T retried(Call<T> call) throws Exception {
        while (true) {
            try {
                return call.call();
            } catch (KeeperException.ConnectionLossException e) {
                Thread.sleep(50);
            }
        }
    }

    static ZooKeeper connect(String hosts) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        ZooKeeper zk = new ZooKeeper(hosts, 20000, event -> {
            if (event.getState() == Watcher.Event.KeeperState.SyncConnected) connected.countDown();
        });
        if (!connected.await(30, TimeUnit.SECONDS)) throw new IllegalStateException("not connected");
        return zk;
    }

    static void ensure(ZooKeeper zk, String path) throws Exception {
        retried(() -> {
            try {
                return zk.create(path, new byte[0], OPEN, CreateMode.PERSISTENT);
            } catch (KeeperException.NodeExistsException e) {
                return path;
            }
        });
    }

    static void sync(ZooKeeper zk, String path) throws Exception {
        retried(() -> {
            CompletableFuture<Integer> code = new CompletableFuture<>();
            zk.sync(path, (rc, ignored, context) -> code.complete(rc), null);
            if (code.get() != 0) throw KeeperException.create(KeeperException.Code.get(code.get()));
            return null;
        });
    }

    // Curator's protection: the name tells whether a create whose answer was lost took effect. The
    // sync comes after the session has moved, so that nothing is under way from its last member.
    static String createProtected(ZooKeeper zk, String parent) throws Exception {
        String guid = UUID.randomUUID() + "-";
        return retried(() -> {
            try {
                return zk.create(parent + "/" + guid, new byte[0], OPEN, CreateMode.EPHEMERAL_SEQUENTIAL);
            } catch (KeeperException.ConnectionLossException lost) {
                sync(zk, parent);
                for (String name : inOrder(zk, parent)) if (name.startsWith(guid)) return parent + "/" + name;
                throw lost;
            }
        });
    }

    static List<String> inOrder(ZooKeeper zk, String parent) throws Exception {
        List<String> names = retried(() -> zk.getChildren(parent, false));
        names.sort(Comparator.comparing(name -> name.substring(name.length() - 10)));
        return names;
    }

    static String lock(ZooKeeper zk, String parent) throws Exception {
        String path = createProtected(zk, parent);
        while (true) {
            List<String> names = inOrder(zk, parent);
            int place = names.indexOf(path.substring(parent.length() + 1));
            if (place == 0) return path;
            CountDownLatch changed = new CountDownLatch(1);
            String before = parent + "/" + names.get(place - 1);
            if (retried(() -> zk.exists(before, event -> changed.countDown())) != null) changed.await();
        }
    }

    static void unlock(ZooKeeper zk, String path) throws Exception {
        retried(() -> {
            try {
                zk.delete(path, -1);
            } catch (KeeperException.NoNodeException gone) {
                // The delete whose answer was lost took effect.
            }
            return null;
        });
    }

    static void locks(ZooKeeper[] clients) throws Exception {
        ensure(clients[0], "/java-lock");
        AtomicInteger inside = new AtomicInteger(), most = new AtomicInteger(), entered = new AtomicInteger();
        List<Thread> threads = new ArrayList<>();
        for (ZooKeeper zk : clients) {
            Thread thread = new Thread(() -> {
                try {
                    for (int i = 0; i < 5; i++) {
                        String path = lock(zk, "/java-lock");
                        most.accumulateAndGet(inside.incrementAndGet(), Math::max);
                        entered.incrementAndGet();
                        Thread.sleep(100);
                        inside.decrementAndGet();
                        unlock(zk, path);
                    }
                } catch (Exception e) {
                    e.printStackTrace();
                }
            });
            threads.add(thread);
            thread.start();
        }
        for (Thread thread : threads) thread.join();
        System.out.println("locks: entered " + entered + ", at most " + most + " at once");
    }

    static void latch(ZooKeeper[] clients) throws Exception {
        ensure(clients[0], "/java-latch");
        String first = createProtected(clients[0], "/java-latch");
        createProtected(clients[1], "/java-latch");
        sync(clients[1], "/java-latch");
        System.out.println("latch: the first leads " + first.endsWith("/" + inOrder(clients[1], "/java-latch").get(0)));
    }

    // A watch says nothing of what changed while its client was disconnected, a persistent one
    // neither: the cache also reads again when it hears of a new connection.
    static void cache(ZooKeeper[] clients) throws Exception {
        ensure(clients[0], "/java-cache");
        Semaphore told = new Semaphore(0);
        Watcher watcher = event -> told.release();
        retried(() -> { clients[1].addWatch("/java-cache", watcher, AddWatchMode.PERSISTENT_RECURSIVE); return null; });
        ensure(clients[0], "/java-cache/a");
        ensure(clients[0], "/java-cache/a/b");
        retried(() -> clients[0].setData("/java-cache/a/b", new byte[] {1}, -1));
        byte[] cached = {};
        while (cached.length == 0 && told.tryAcquire(30, TimeUnit.SECONDS)) {
            cached = retried(() -> {
                try {
                    return clients[1].getData("/java-cache/a/b", false, null);
                } catch (KeeperException.NoNodeException e) {
                    return new byte[0];
                }
            });
        }
        System.out.println("cache: follows " + (cached.length == 1));
    }

    static void transactions(ZooKeeper[] clients) throws Exception {
        ensure(clients[0], "/java-txn");
        int results = retried(() -> {
            try {
                return clients[0].transaction()
                    .check("/java-txn", -1).create("/java-txn/x", new byte[] {1}, OPEN, CreateMode.PERSISTENT)
                    .setData("/java-txn/x", new byte[] {2}, 0).commit().size();
            } catch (KeeperException.NodeExistsException e) {
                return e.getResults().size();
            }
        });
        System.out.println("transaction: " + results + " results");
        KeeperException refusal = retried(() -> {
            try {
                clients[0].transaction().delete("/java-txn/x", 9).commit();
                return null;
            } catch (KeeperException.BadVersionException e) {
                return e;
            }
        });
        System.out.println("refused: " + (refusal == null ? "no" : refusal.code()));
        Stat stat = new Stat();
        byte[] data = retried(() -> clients[0].getData("/java-txn/x", false, stat));
        System.out.println("data: " + data[0] + " version " + stat.getVersion());
        System.out.println("ephemerals: " + retried(() -> clients[0].getEphemerals("/java-latch")).size());
    }

    public static void main(String[] args) throws Exception {
        ZooKeeper[] clients = {connect(args[0]), connect(args[0])};
        locks(clients);
        latch(clients);
        cache(clients);
        transactions(clients);
        for (ZooKeeper zk : clients) zk.close();
        System.out.println("done");
        System.exit(0);
    }
}
