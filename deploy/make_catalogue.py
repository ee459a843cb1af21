#!/usr/bin/env python3
"""Writes a made-up data set in the shape of MovieLens latest-small.

For machines that cannot reach GroupLens: ratings.csv and movies.csv with 610 users, 9,742 movies and
100,836 ratings, in the files' own format. People have two favourite genres, movies have one or two,
a few movies are known to everybody, and ratings follow taste; so a model finds something to learn.
The same seed writes the same bytes.

usage: make_catalogue.py FOLDER
"""
import os
import random
import sys

USERS, MOVIES, RATINGS = 610, 9742, 100836
GENRES = ["Action", "Adventure", "Animation", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
          "Horror", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western"]
ADJECTIVES = ["Silent", "Last", "Golden", "Broken", "Distant", "Crimson", "Hidden", "Electric",
              "Lonely", "Burning", "Paper", "Frozen", "Second", "Wild", "Quiet", "Hollow"]
NOUNS = ["River", "Summer", "Machine", "Garden", "Frontier", "Letter", "Harbour", "Mirror", "Signal",
         "Orchard", "Winter", "Station", "Horizon", "Promise", "Engine", "Island"]


def make_movies(rng):
    movies = []
    for movie in range(1, MOVIES + 1):
        genres = rng.sample(GENRES, rng.choice((1, 2, 2)))
        title = f"The {rng.choice(ADJECTIVES)} {rng.choice(NOUNS)} {movie} ({rng.randint(1950, 2018)})"
        movies.append((title, sorted(genres)))
    return movies


def make_counts(rng):
    """How many ratings each person gives: 20 at least, a long tail, RATINGS in all."""
    tail = [rng.paretovariate(1.2) for _ in range(USERS)]
    spare = RATINGS - 20 * USERS
    counts = [20 + min(2000, int(spare * t / sum(tail))) for t in tail]
    while sum(counts) != RATINGS:
        counts[rng.randrange(USERS)] += 1 if sum(counts) < RATINGS else 0
    return counts


def make_ratings(rng, movies):
    known = [1.0 / (rank + 10) for rank in range(MOVIES)]
    by_genre = {g: [i for i, m in enumerate(movies) if g in m[1]] for g in GENRES}
    for user, count in enumerate(make_counts(rng), start=1):
        taste = rng.sample(GENRES, 2)
        of_taste = by_genre[taste[0]] + by_genre[taste[1]]
        seen = set()
        while len(seen) < count:
            pool = of_taste if rng.random() < 0.7 and len(seen) < len(of_taste) else range(MOVIES)
            seen.update(rng.choices(pool, [known[i] for i in pool], k=count - len(seen)))
        time = rng.randint(828124615, 1537799250 - 40000000)
        for movie in rng.sample(sorted(seen), count):
            liked = sum(g in taste for g in movies[movie][1])
            rating = min(5.0, max(0.5, round((rng.gauss(3.0 + 0.8 * liked, 0.7)) * 2) / 2))
            time += rng.randint(1, 20000)
            yield user, movie + 1, rating, time


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = sys.argv[1]
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(1)
    movies = make_movies(rng)
    with open(os.path.join(folder, "movies.csv"), "w", encoding="utf-8", newline="\r\n") as out:
        out.write("movieId,title,genres\n")
        for movie, (title, genres) in enumerate(movies, start=1):
            out.write(f"{movie},{title},{'|'.join(genres)}\n")
    with open(os.path.join(folder, "ratings.csv"), "w", encoding="utf-8", newline="\r\n") as out:
        out.write("userId,movieId,rating,timestamp\n")
        for user, movie, rating, time in make_ratings(rng, movies):
            out.write(f"{user},{movie},{rating},{time}\n")


if __name__ == "__main__":
    main()
