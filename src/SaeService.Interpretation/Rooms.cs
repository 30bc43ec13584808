using System.Collections.Concurrent;

namespace SaeService.Interpretation;

/// <summary>
/// What each thread of a loop works in. A loop's tasks come and go, many more of them than threads; rooms stay, no more of them than were in use at once.
/// </summary>
internal sealed class Rooms<T>(Func<T> make)
{
    private readonly ConcurrentBag<T> _free = [];

    public T Enter() => _free.TryTake(out var room) ? room : make();

    public void Leave(T room) => _free.Add(room);
}
